"""The corruptions of documents.

Law: see `rig_doctor`. What is changed is changed on all nodes alike, with its hashes, so that only
who knows what was asked can tell.
"""

import copy
import random
from collections.abc import Iterator
from typing import Any

from tests.unit.chaos.check.rig_doctor import corruption, done, everywhere, held, some
from tests.unit.chaos.check.rig_document import content_of
from tests.unit.chaos.check.rig_model import Row, final_record


def _documents(rows: list[Row]) -> dict[str, Row]:
    return {i: copy.deepcopy(v) for i, v in held(rows).items() if "document" in v}


def _text(record: Row) -> str:
    return str(record["document"]["value"]["text"])


def _tokens(text: str) -> list[str]:
    return text[1:-1].split("][") if text else []


def _shows(rows: list[Row], id_: str, record: Row, **value: Any) -> None:
    """Let all nodes show this of a document."""
    record["document"]["value"] |= value
    record["content"] = content_of(record["document"]["value"])
    everywhere(rows, id_, record)


def _put(rows: list[Row], where: str, *outcomes: str) -> Iterator[tuple[str, Row, str]]:
    """(id, record, token) of every token that is there and was asked for so."""
    documents = _documents(rows)
    for row, _ in done(rows, "edit", *outcomes):
        record = documents.get(row["document"])
        if record is not None and where in row:
            value = record["document"]["value"][where]
            there = _tokens(value) if where == "text" else value
            if row[where] in there:
                yield row["document"], record, row[where]


def _without(rows: list[Row], rng: random.Random, where: str) -> bool:
    found = some(rng, _put(rows, where, "ok"))
    if found is None:
        return False
    id_, record, token = found
    value = record["document"]["value"][where]
    if where == "text":
        _shows(rows, id_, record, text=value.replace(f"[{token}]", ""))
    elif where == "list":
        _shows(rows, id_, record, list=[each for each in value if each != token])
    else:
        _shows(rows, id_, record, map={key: held for key, held in value.items() if key != token})
    return True


@corruption("document", "document/lost")
def an_acknowledged_token_is_gone_from_a_text(rows: list[Row], rng: random.Random) -> bool:
    return _without(rows, rng, "text")


@corruption("document", "document/lost")
def an_acknowledged_item_is_gone_from_a_list(rows: list[Row], rng: random.Random) -> bool:
    return _without(rows, rng, "list")


@corruption("document", "document/lost")
def an_acknowledged_key_is_gone_from_a_map(rows: list[Row], rng: random.Random) -> bool:
    return _without(rows, rng, "map")


@corruption("document", "document/lost")
def an_acknowledged_document_is_gone(rows: list[Row], rng: random.Random) -> bool:
    acks = {row["document"] for row, _ in done(rows, "create", "ok")}
    id_ = some(rng, acks & _documents(rows).keys())
    if id_ is None:
        return False
    everywhere(rows, id_, None)
    return True


@corruption("document", "document/lost")
def an_acknowledged_increment_does_not_count(rows: list[Row], _: random.Random) -> bool:
    documents, possible = _documents(rows), {row["key"] for row, _ in done(rows, "edit", "info")}
    for row, _answer in done(rows, "edit", "ok"):
        if "by" in row and row["key"] not in possible and row["document"] in documents:
            record = documents[row["document"]]
            least = _least(rows, row["document"])
            _shows(rows, row["document"], record, count=least - 1)
            return True
    return False


def _least(rows: list[Row], id_: str) -> int:
    acks = {r["key"]: r["by"] for r, _ in done(rows, "edit", "ok") if "by" in r}
    of = {r["key"] for r, _ in done(rows, "edit") if r["document"] == id_}
    return sum(by for key, by in acks.items() if key in of)


@corruption("document", "document/invented")
def an_increment_counts_twice_for_all(rows: list[Row], rng: random.Random) -> bool:
    """The retry of an increment at another node was a second one."""
    id_ = some(rng, _documents(rows))
    if id_ is None:
        return False
    tried = {r["key"]: r["by"] for r, _ in done(rows, "edit") if "by" in r and r["document"] == id_}
    _shows(rows, id_, _documents(rows)[id_], count=sum(tried.values()) + 1)
    return True


@corruption("document", "document/duplicated")
def a_retry_was_a_second_insertion(rows: list[Row], rng: random.Random) -> bool:
    found = some(rng, _put(rows, "text"))
    if found is None:
        return False
    id_, record, token = found
    text = record["document"]["value"]["text"]
    _shows(rows, id_, record, text=f"[{token}]{text}")
    return True


@corruption("document", "document/invented")
def a_token_that_nobody_wrote(rows: list[Row], rng: random.Random) -> bool:
    id_ = some(rng, _documents(rows))
    if id_ is None:
        return False
    record = _documents(rows)[id_]
    _shows(rows, id_, record, text=record["document"]["value"]["text"] + "[x]")
    return True


@corruption("document", "document/invented")
def a_token_is_in_another_document(rows: list[Row], rng: random.Random) -> bool:
    documents = _documents(rows)
    found = some(rng, _put(rows, "list"))
    others = [i for i in documents if found is not None and i != found[0]]
    if found is None or not others:
        return False
    record = documents[rng.choice(others)]
    _shows(rows, record["id"], record, list=[*record["document"]["value"]["list"], found[2]])
    return True


@corruption("document", "document/resurrected")
def a_token_that_was_taken_away_is_back(rows: list[Row], rng: random.Random) -> bool:
    documents = _documents(rows)
    places = [row for row, _ in done(rows, "edit", "ok") if "text_gone" in row]
    row = some(rng, [row for row in places if row["document"] in documents])
    if row is None:
        return False
    record = documents[row["document"]]
    text = record["document"]["value"]["text"] + f"[{row['text_gone']}]"
    _shows(rows, row["document"], record, text=text)
    return True


@corruption("document", "document/torn")
def two_tokens_are_interleaved(rows: list[Row], rng: random.Random) -> bool:
    """Character by character, as two runs of typing at one place must never be."""
    places = [(i, v) for i, v in _documents(rows).items() if "][" in _text(v)]
    found = some(rng, places)
    if found is None:
        return False
    id_, record = found
    _shows(rows, id_, record, text=_text(record).replace("][", "[]", 1))
    return True


@corruption("document", "document/torn")
def half_of_a_request_was_applied(rows: list[Row], rng: random.Random) -> bool:
    gone = {r.get("text_gone") or r.get("list_gone") for r, _ in done(rows, "edit")}
    places = [
        (id_, record, token)
        for id_, record, token in _put(rows, "text", "info")
        for row, _ in done(rows, "edit", "info")
        if row.get("text") == token and row.get("list") and not {token, row["list"]} & gone
    ]
    acks = {row["key"] for row, _ in done(rows, "edit", "ok")}
    settled = {row["text"] for row, _ in done(rows, "edit") if "text" in row and row["key"] in acks}
    found = some(rng, [place for place in places if place[2] not in settled])
    if found is None:
        return False
    id_, record, token = found
    text = record["document"]["value"]["text"].replace(f"[{token}]", "")
    _shows(rows, id_, record, text=text)
    return True


@corruption("document", "document/order")
def tokens_changed_places(rows: list[Row], rng: random.Random) -> bool:
    """Two tokens that a reader saw in one order are in the other one now."""
    documents = _documents(rows)
    places = []
    for row, answer in done(rows, "read", "ok"):
        record = documents.get(row["document"])
        seen = _tokens(answer.get("text") or "")
        left = _tokens(_text(record)) if record else []
        both = [token for token in left if token in seen]
        if len(both) > 1:
            places.append((row["document"], record, both[0], both[-1]))
    found = some(rng, places)
    if found is None:
        return False
    id_, record, one, other = found
    text = _text(record).replace(f"[{one}]", "[?]").replace(f"[{other}]", f"[{one}]")
    _shows(rows, id_, record, text=text.replace("[?]", f"[{other}]"))
    return True


@corruption("document", "document/content")
def the_memory_shows_an_older_text(rows: list[Row], rng: random.Random) -> bool:
    """What recall and search go by is not what the document says."""
    id_ = some(rng, [i for i, v in _documents(rows).items() if v["content"]])
    if id_ is None:
        return False
    everywhere(rows, id_, {**_documents(rows)[id_], "content": "[older]"})
    return True


@corruption("document", "document/set_aside")
def a_change_is_set_aside_everywhere(rows: list[Row], rng: random.Random) -> bool:
    id_ = some(rng, _documents(rows))
    if id_ is None:
        return False
    record = _documents(rows)[id_]
    record["document"]["set_aside"] = 1
    everywhere(rows, id_, record)
    return True


@corruption("document", "document/same_heads")
def one_node_shows_other_items_at_the_same_heads(rows: list[Row], rng: random.Random) -> bool:
    final = rng.choice([row for row in rows if row["kind"] == "final"])
    places = [
        (i, copy.deepcopy(one["value"]))
        for i, one in final["records"].items()
        if len(one["value"].get("document", {}).get("value", {}).get("list", ())) > 1
    ]
    found = some(rng, places)
    if found is None:
        return False
    id_, record = found
    record["document"]["value"]["list"].reverse()
    final["records"][id_] = final_record(record)
    return True


@corruption("document", "document/invented")
def a_read_showed_a_token_before_it_was_written(rows: list[Row], rng: random.Random) -> bool:
    reads = [a for row, a in done(rows, "read", "ok") if "text" in a]
    late = [row for row, _ in done(rows, "edit") if "text" in row]
    if len(reads) < 3 or not late or rows.index(reads[0]) > rows.index(late[-1]):
        return False
    rng.choice(reads[:1])["text"] += f"[{late[-1]['text']}]"
    return True
