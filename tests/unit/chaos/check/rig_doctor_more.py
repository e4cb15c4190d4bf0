"""The corruptions of counters, deletions, governance, causality and retries.

Law: see `rig_doctor`.
"""

import random

from tests.unit.chaos.check.rig_doctor import (
    acknowledged,
    corruption,
    done,
    everywhere,
    finals,
    held,
    some,
)
from tests.unit.chaos.check.rig_model import Row, hash_of

# --- counters -------------------------------------------------------------------------------


@corruption("counter", "counter/lost")
def an_increment_is_gone(rows: list[Row], rng: random.Random) -> bool:
    acks = {row["unit"] for row, _ in done(rows, "increment", "ok")}
    id_ = some(rng, [i for i, v in held(rows).items() if v.get("relation") in acks])
    if id_ is None:
        return False
    everywhere(rows, id_, None)
    return True


@corruption("counter", "counter/lost")
def an_increment_is_gone_and_another_came(rows: list[Row], rng: random.Random) -> bool:
    """The sum is right; the counter is not."""
    acks = {row["unit"] for row, _ in done(rows, "increment", "ok")}
    id_ = some(rng, [i for i, v in held(rows).items() if v.get("relation") in acks])
    if id_ is None:
        return False
    other = {**held(rows)[id_], "relation": "u_x"}
    everywhere(rows, id_, None)
    everywhere(rows, "link:x", other)
    return True


@corruption("counter", "counter/invented")
def a_refused_increment_counts(rows: list[Row], rng: random.Random) -> bool:
    found = some(rng, done(rows, "increment", "fail"))
    if found is None:
        return False
    link = {"source_id": found[0]["counter"], "relation": found[0]["unit"], "target_id": "x"}
    everywhere(rows, "link:x", link)
    return True


@corruption("counter", "counter/duplicated")
def an_increment_counts_twice(rows: list[Row], rng: random.Random) -> bool:
    id_ = some(rng, [i for i, v in held(rows).items() if "relation" in v])
    if id_ is None:
        return False
    everywhere(rows, "link:x", {**held(rows)[id_], "target_id": "y"})
    return True


# --- deletions ------------------------------------------------------------------------------


@corruption("delete", "delete/resurrected")
def a_deleted_record_is_back(rows: list[Row], rng: random.Random) -> bool:
    births = {row["birth"]: row for row, _ in done(rows, "create", "ok")}
    saws = [row["saw"] for row, _ in done(rows, "delete", "ok") if row["saw"] in births]
    birth = some(rng, saws)
    if birth is None:
        return False
    id_ = births[birth]["id"]
    back = {"id": id_, "title": "t", "content": birth, "metadata": {"birth": birth}}
    everywhere(rows, id_, back)
    return True


@corruption("delete", "delete/resurrected")
def a_deleted_record_is_read(rows: list[Row], rng: random.Random) -> bool:
    reads = [
        (row, answer)
        for row, answer in done(rows, "read", "ok")
        if row["after"] and not answer["found"]
    ]
    found = some(rng, reads)
    if found is None:
        return False
    found[1].update(found=True, status=200, birth=found[0]["after"][0])
    return True


@corruption("delete", "delete/lost")
def what_nobody_deleted_is_gone(rows: list[Row], rng: random.Random) -> bool:
    touched = {row["id"] for row, _ in done(rows, "delete")}
    acks = {row["id"] for row, _ in done(rows, "create", "ok")} - touched
    id_ = some(rng, sorted(acks))
    if id_ is None:
        return False
    everywhere(rows, id_, None)
    return True


@corruption("delete", "delete/half")
def half_a_record_is_left(rows: list[Row], rng: random.Random) -> bool:
    id_ = some(rng, held(rows))
    if id_ is None:
        return False
    everywhere(rows, id_, {k: v for k, v in held(rows)[id_].items() if k != "title"})
    return True


# --- governance -----------------------------------------------------------------------------


@corruption("governance", "governance/looser")
def the_last_and_strictest_policy_does_not_hold(rows: list[Row], _: random.Random) -> bool:
    spaces = {row["space"] for row, _ in done(rows, "policy")}
    for space in sorted(spaces):
        asked = [(r, a) for r, a in done(rows, "policy", "ok", "info") if r["space"] == space]
        row, answer = asked[-1]
        settled = all(a["kind"] == "ok" for _, a in asked)
        if row["write"] == "any" or answer["kind"] != "ok" or not settled:
            continue
        for final in finals(rows):
            loose = [{"governance": {"write": "any"}, "dot": "a-n1:0"}]
            final["standards"] = {**final["standards"], space: loose}
            final["policies"][space] = hash_of(loose)
        return True
    return False


@corruption("governance", "governance/stale")
def a_replaced_policy_is_back(rows: list[Row], rng: random.Random) -> bool:
    found = some(rng, [(r, r["saw"]) for r, _ in done(rows, "policy", "ok") if r["saw"]])
    if found is None:
        return False
    row, saw = found
    space = row["space"]
    for final in finals(rows):
        old = {"governance": {"write": row["write"]}, "dot": saw[0]}
        versions = [*final["standards"].get(space, []), old]
        final["standards"] = {**final["standards"], space: versions}
        final["policies"][space] = hash_of(versions)
    return True


@corruption("governance", "governance/bypassed")
def a_node_takes_what_it_had_denied(rows: list[Row], _: random.Random) -> bool:
    policies = [(r, a) for r, a in done(rows, "policy", "ok", "info")]
    for row, answer in done(rows, "add", "fail"):
        space = row["fields"]["namespace"]
        same = [each for each in policies if each[0]["space"] == space]
        strict = [
            r
            for r, a in same
            if r["write"] == "deny" and a["kind"] == "ok" and r["node"] == row["node"]
        ]
        looser = [r for r, _ in same if r["write"] != "deny"]
        if strict and not looser and rows.index(strict[0]) < rows.index(row):
            answer.update(kind="ok", status=201)
            everywhere(rows, "g-x", {"id": "g-x", **row["fields"]})
            return True
    return False


@corruption("governance", "governance/bypassed")
def what_waits_for_approval_shows(rows: list[Row], rng: random.Random) -> bool:
    waits = [row for row, answer in done(rows, "add", "ok") if answer.get("pending")]
    row = some(rng, waits)
    if row is None:
        return False
    everywhere(rows, "g-x", {"id": "g-x", **row["fields"]})
    return True


# --- causality ------------------------------------------------------------------------------


@corruption("causal", "causal/effect_without_cause")
def who_saw_the_effect_does_not_find_the_cause(rows: list[Row], rng: random.Random) -> bool:
    found = some(rng, done(rows, "read", "ok"))
    if found is None:
        return False
    found[1].update(found=False, status=404)
    return True


@corruption("causal", "causal/effect_without_cause")
def an_effect_is_left_without_its_cause(rows: list[Row], rng: random.Random) -> bool:
    causes = {v["metadata"]["of"] for v in held(rows).values() if "of" in v["metadata"]}
    cause = some(rng, sorted(causes & held(rows).keys()))
    if cause is None:
        return False
    everywhere(rows, cause, None)
    return True


# --- retries --------------------------------------------------------------------------------


@corruption("idempotence", "idempotence/duplicated")
def a_retry_had_a_second_effect(rows: list[Row], rng: random.Random) -> bool:
    found = acknowledged(rows, "add", rng)
    if found is None:
        return False
    everywhere(rows, "i-x", {**found[1], "id": "i-x"})
    return True


@corruption("idempotence", "idempotence/ids_differ")
def a_retry_told_another_id(rows: list[Row], rng: random.Random) -> bool:
    tries: dict[str, list[Row]] = {}
    for row, answer in done(rows, "add", "ok"):
        tries.setdefault(row["key"], []).append(answer)
    many = some(rng, [each for each in tries.values() if len(each) > 1])
    if many is None:
        return False
    many[1]["id"] = "i-x"
    return True


@corruption("idempotence", "idempotence/key_reused")
def a_key_served_for_two_bodies(rows: list[Row], rng: random.Random) -> bool:
    found = some(rng, done(rows, "add", "fail"))
    if found is None:
        return False
    found[1].update(kind="ok", status=201, id="i-x")
    return True
