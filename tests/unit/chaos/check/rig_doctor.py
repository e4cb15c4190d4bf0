"""One corruption each, done to a clean history, with the rule that has to catch it.

Law: a corruption changes one thing that must not change, and all hashes with it where it stands for
what nodes hold alike. It says False where the history has no place for it.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.unit.chaos.check.rig_model import Row, final_record, hash_of

Corrupt = Callable[[list[Row], random.Random], bool]


class Doctored(NamedTuple):
    """A corruption."""

    name: str
    workload: str
    rule: str  # checker/rule
    corrupt: Corrupt


DOCTORED: list[Doctored] = []


def corruption(workload: str, rule: str) -> Callable[[Corrupt], Corrupt]:
    def keep(corrupt: Corrupt) -> Corrupt:
        DOCTORED.append(Doctored(corrupt.__name__, workload, rule, corrupt))
        return corrupt

    return keep


# --- finding places -------------------------------------------------------------------------


def finals(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["kind"] == "final"]


def done(rows: list[Row], f: str, *outcomes: str) -> Iterator[tuple[Row, Row]]:
    """Invokes of that name with their completions."""
    answers = {row["op"]: row for row in rows if row["kind"] in ("ok", "fail", "info")}
    for row in rows:
        if row["kind"] == "invoke" and row["f"] == f:
            answer = answers.get(row["op"], {"kind": "info", "op": row["op"], "at": 0.0})
            if answer["kind"] in (outcomes or ("ok", "fail", "info")):
                yield row, answer


def some(rng: random.Random, found: Any) -> Any:
    listed = list(found)
    return rng.choice(listed) if listed else None


def everywhere(rows: list[Row], id_: str, value: Row | None) -> None:
    for final in finals(rows):
        final["records"].pop(id_, None)
        if value is not None:
            final["records"][id_] = final_record(value)


def held(rows: list[Row]) -> dict[str, Row]:
    return {id_: dict(one["value"]) for id_, one in finals(rows)[0]["records"].items()}


def by_content(rows: list[Row], content: str) -> str | None:
    return next((i for i, v in held(rows).items() if v.get("content") == content), None)


def acknowledged(rows: list[Row], f: str, rng: random.Random) -> tuple[str, Row] | None:
    """Id and value of a record that an acknowledged request made."""
    there = held(rows)
    ids = {str(v.get("content")): i for i, v in there.items()}
    asked = [row.get("fields") or row for row, _ in done(rows, f, "ok") if "many" not in row]
    values = [str(row.get("content") or row.get("value")) for row in asked]
    id_ = some(rng, [ids[value] for value in values if value in ids])
    return None if id_ is None else (id_, there[id_])


# --- the mesh -------------------------------------------------------------------------------


@corruption("set", "convergence/ids")
def one_node_lacks_a_record(rows: list[Row], rng: random.Random) -> bool:
    final = rng.choice(finals(rows))
    id_ = some(rng, final["records"])
    return id_ is not None and final["records"].pop(id_) is not None


@corruption("register", "convergence/hashes")
def equal_counts_unequal_content(rows: list[Row], rng: random.Random) -> bool:
    records = rng.choice(finals(rows))["records"]
    id_ = some(rng, records)
    if id_ is None:
        return False
    records[id_] = final_record({**records[id_]["value"], "title": "another"})
    return True


@corruption("set", "convergence/hash_of_value")
def a_value_is_not_what_it_hashes(rows: list[Row], rng: random.Random) -> bool:
    records = rng.choice(finals(rows))["records"]
    id_ = some(rng, records)
    if id_ is None:
        return False
    records[id_] = {**records[id_], "value": {**records[id_]["value"], "title": "rotten"}}
    return True


@corruption("set", "convergence/clocks")
def one_clock_is_ahead(rows: list[Row], rng: random.Random) -> bool:
    rng.choice(finals(rows))["clock"]["a-n9"] = 1
    return True


@corruption("counter", "convergence/digests")
def one_digest_differs(rows: list[Row], rng: random.Random) -> bool:
    rng.choice(finals(rows))["digest"] = "00"
    return True


@corruption("governance", "convergence/policies")
def one_node_has_another_policy(rows: list[Row], rng: random.Random) -> bool:
    final = rng.choice(finals(rows))
    space = some(rng, final["policies"])
    if space is None:
        return False
    final["standards"] = {**final["standards"], space: []}
    final["policies"][space] = hash_of([])
    return True


@corruption("set", "convergence/unread")
def one_node_did_not_answer(rows: list[Row], rng: random.Random) -> bool:
    rng.choice(finals(rows))["error"] = "GET /mesh: 0"
    return True


@corruption("set", "convergence/dot_missing")
def no_clock_covers_an_acknowledged_dot(rows: list[Row], rng: random.Random) -> bool:
    found = some(rng, done(rows, "add", "ok"))
    if found is None:
        return False
    actor, _, seq = found[1]["dot"].rpartition(":")
    for final in finals(rows):
        final["clock"][actor] = int(seq) - 1
    return True


@corruption("register", "convergence/dot_reused")
def one_dot_names_two_writes(rows: list[Row], rng: random.Random) -> bool:
    answers = [answer for _, answer in done(rows, "write", "ok")]
    if len(answers) < 2:
        return False
    first, second = rng.sample(answers, 2)
    second["dot"] = first["dot"]
    return True


@corruption("set", "convergence/stray")
def an_answer_to_nothing(rows: list[Row], rng: random.Random) -> bool:
    rows.insert(rng.randrange(2, len(rows)), {"kind": "ok", "op": 10**6, "at": 0.0, "status": 200})
    return True


@corruption("set", "expect/unmet")
def a_promise_of_the_class_is_broken(rows: list[Row], _: random.Random) -> bool:
    what = "the minority answers 503"
    rows.append({"kind": "expect", "cycle": 1, "at": 0.0, "what": what, "ok": False, "detail": {}})
    return True


# --- the set --------------------------------------------------------------------------------


@corruption("set", "set/lost")
def an_acknowledged_element_is_gone(rows: list[Row], rng: random.Random) -> bool:
    found = acknowledged(rows, "add", rng)
    if found is None:
        return False
    everywhere(rows, found[0], None)
    return True


@corruption("set", "set/invented")
def an_element_that_nobody_wrote(rows: list[Row], _: random.Random) -> bool:
    everywhere(rows, "s-x", {"id": "s-x", "title": "t", "content": "from nowhere"})
    return True


@corruption("set", "set/invented")
def a_refused_element_is_there(rows: list[Row], rng: random.Random) -> bool:
    found = some(rng, done(rows, "add", "fail"))
    if found is None:
        return False
    everywhere(rows, "s-x", {"id": "s-x", **found[0]["fields"]})
    return True


@corruption("set", "set/invented")
def a_503_was_taken_for_a_refusal(rows: list[Row], rng: random.Random) -> bool:
    """The write surfaced, as it may after a 503; the harness had noted `fail`."""
    surfaced = [
        (row, answer)
        for row, answer in done(rows, "add", "info")
        if "fields" in row and by_content(rows, row["fields"]["content"])
    ]
    found = some(rng, surfaced)
    if found is None:
        return False
    row, answer = found
    if answer in rows:
        rows.remove(answer)
    rows.insert(rows.index(row) + 1, {**answer, "kind": "fail", "status": 503})
    return True


@corruption("set", "set/duplicated")
def an_element_is_there_twice(rows: list[Row], rng: random.Random) -> bool:
    id_ = some(rng, held(rows))
    if id_ is None:
        return False
    everywhere(rows, "s-x", {**held(rows)[id_], "id": "s-x"})
    return True


@corruption("set", "set/altered")
def an_element_is_not_as_it_was_written(rows: list[Row], rng: random.Random) -> bool:
    id_ = some(rng, held(rows))
    if id_ is None:
        return False
    everywhere(rows, id_, {**held(rows)[id_], "tags": ["b"]})
    return True


# --- registers and sessions -----------------------------------------------------------------


@corruption("register", "register/stale")
def an_overwritten_value_is_back(rows: list[Row], rng: random.Random) -> bool:
    saws = [(row["register"], row["saw"]) for row, _ in done(rows, "write", "ok")]
    found = some(rng, [each for each in saws if each[0] in held(rows)])
    if found is None:
        return False
    register, saw = found
    old = {**held(rows)[register], "content": saw if isinstance(saw, str) else saw[0]}
    everywhere(rows, register, {k: v for k, v in old.items() if k not in ("conflicts", "siblings")})
    return True


@corruption("register", "register/lost")
def a_concurrent_value_is_dropped(rows: list[Row], rng: random.Random) -> bool:
    acks = {row["value"] for row, _ in done(rows, "write", "ok")}
    places = [
        (register, value, sibling)
        for register, value in held(rows).items()
        for sibling in value.get("siblings", ())
        if sibling in acks
    ]
    found = some(rng, places)
    if found is None:
        return False
    register, value, sibling = found
    left = [each for each in value["siblings"] if each != sibling]
    everywhere(rows, register, {**value, "siblings": left, "conflicts": len(left)})
    return True


@corruption("register", "register/conflicts")
def conflicts_are_told_that_are_none(rows: list[Row], rng: random.Random) -> bool:
    register = some(rng, held(rows))
    if register is None:
        return False
    value = held(rows)[register]
    everywhere(rows, register, {**value, "conflicts": value.get("conflicts", 0) + 1})
    return True


@corruption("register", "register/invented")
def a_read_showed_what_was_written_later(rows: list[Row], _: random.Random) -> bool:
    reads = [a for row, a in done(rows, "read", "ok") if "content" in a]
    last = [row for row, _ in done(rows, "write")]
    if len(reads) < 3 or not last:
        return False
    reads[0]["content"] = last[-1]["value"]
    return rows.index(reads[0]) < rows.index(last[-1])


def _session_read(rows: list[Row], rng: random.Random, *, own: bool) -> Row | None:
    """The answer to a read, made to show the parent of what its token covers."""
    writes = {row["value"]: (row, answer) for row, answer in done(rows, "write", "ok")}
    places = []
    for row, answer in done(rows, "read", "ok"):
        write = writes.get((row["after"] or [""])[0])
        if write and (write[0]["process"] == row["process"]) == own:
            places.append((answer, write[0]["saw"][0]))
    found = some(rng, places)
    if found is None:
        return None
    answer: Row = found[0]
    answer["content"] = found[1]
    return answer


@corruption("session", "session/monotonic_reads")
def a_session_goes_back(rows: list[Row], rng: random.Random) -> bool:
    return _session_read(rows, rng, own=False) is not None


@corruption("session", "session/read_your_writes")
def a_session_does_not_see_its_own_write(rows: list[Row], rng: random.Random) -> bool:
    return _session_read(rows, rng, own=True) is not None


@corruption("session", "session/read_your_writes")
def a_session_finds_nothing_where_it_wrote(rows: list[Row], rng: random.Random) -> bool:
    answer = _session_read(rows, rng, own=True)
    if answer is None:
        return False
    answer.pop("content")
    answer.update(found=False, status=404)
    return True
