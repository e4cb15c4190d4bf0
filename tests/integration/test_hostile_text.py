"""Text that means something to somebody else: kept as it came, and found as it stands.

Law: each text goes into every place that takes text, comes back character for character, and
is found by exactly its own characters: from the overlay, then from the index.
"""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.rig import RealNode, until

pytestmark = [pytest.mark.thorough, pytest.mark.integration, pytest.mark.slow]

HOSTILE = {
    "right to left": "\u202egnp.exe\u202c",
    "isolates": "\u2066\u05e2\u05d1\u05e8\u05d9\u05ea\u2069 abc",
    "zero width": "zero\u200bwidth\u200d\u2060\ufeff",
    "a mark of byte order": "\ufeffbom first",
    "only zero width": "\u200b",
    "only an override": "\u202e",
    "sql": "'; DROP TABLE memories; --",
    "sql or": "1' OR '1'='1",
    "templates": "{{7*7}} ${jndi:ldap://h/a} <%= x %> #{y}",
    "markup": "<script>alert(1)</script>",
    "and": "AND",
    "or not": "OR NOT",
    "and or not": "AND OR NOT",
    "star": "*",
    "question": "?",
    "tilde": "~",
    "caret": "^",
    "colon": ":",
    "operators": "fuzzy~2 boost^3 wild*card qu?stion",
    "field": "title:x",
    "fields": "title:(foo OR bar)^2 AND NOT id:*",
    "open quote": '"unbalanced',
    "quote inside": 'un"balanced quote',
    "open round": "(",
    "open square": "[",
    "open curly": "{",
    "range": "[a TO b}",
    "regex": "/reg.*ex?/",
    "backslashes": "a\\b\\\\c",
    "plus minus": "+must -not",
    "ampersands": "&& || !",
    "controls": "\x01\x02ctrl\x08\x1b[31m",
    "upper controls": "\x7f\x85\x9f",
    "line ends": "tab\there\nnew\r\nline\u2028ls\u2029ps",
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "a rocket": "\U0001f680",
    "apart": "e\u0301te\u0301",
    "together": "\u00e9t\u00e9",
    "many marks": "z\u0351\u036b\u0343a\u0300\u0301\u0302\u0303lgo",
    "ligatures": "\ufb01ne \uff21\uff22\uff23",
    "folds": "\u0130stanbul \u0131 stra\u00dfe \u212a \u1e9e",
    "noncharacters": "\uffff\U0010ffff nonchar",
    "private use": "\ue000 private",
    "stop words": "the of and",
    "words of json": "null",
    "formats": "%s%n%00 ../../etc/passwd",
    "names of code": "__proto__ C++ C# .NET",
    "no blanks": "\u6771\u4eac\u306b\u4f4f\u3080",
    "thai": "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22",
    "a long word": "x" * 500,
    "dashes": "--",
    "a number": "-1",
}
LONG = {
    "one word": "w" * (1024 * 1024),
    "many": "\U0001f680 ( AND " * 60_000,
    "four bytes each": "\U0001f468" * (256 * 1024),
}
BLANK = "\u3000\u2003"


@pytest.fixture(scope="module")
def ids(node: RealNode) -> dict[tuple[str, str], str]:
    """Each text as a content, and as title, tag, and metadata of another memory."""
    out = {}
    for number, (name, text) in enumerate(HOSTILE.items()):
        out["content", name] = node.store(f"n{number}", text, namespace="content")["id"]
        out["title", name] = node.store(
            text, "c", namespace="title", tags=[text[:128]], metadata={"k": text, text: [text]}
        )["id"]
    return out


def level(node: RealNode) -> None:
    def there() -> bool:
        status: dict[str, Any] = node.tell("GET", "/index")
        return status["state"] == "ready" and not status["lag_ops"] and not status["waiting"]

    until(there, "the index is level")


def asked(text: str) -> str:
    return quote(text, safe="")


def listed(node: RealNode, path: str) -> list[str]:
    return [memory["id"] for memory in node.tell("GET", path)["memories"]]


def test_it_is_kept_as_it_came(node: RealNode, ids: dict[tuple[str, str], str]) -> None:
    exported = {memory["id"]: memory for memory in node.tell("GET", "/export")["memories"]}
    for name, text in HOSTILE.items():
        ident = ids["content", name]
        assert node.get(ident)["content"] == exported[ident]["content"] == text, name
        ident = ids["title", name]
        for memory in (node.get(ident), exported[ident]):
            assert (memory["title"], memory["tags"]) == (text, [text[:128]]), name
            said = {key: memory["metadata"][key] for key in ("k", text)}
            assert said == {"k": text, text: [text]}, name


@pytest.mark.parametrize("where", ["overlay", "index"])
def test_a_search_finds_it_as_it_stands(
    node: RealNode, ids: dict[tuple[str, str], str], where: str
) -> None:
    if where == "index":
        level(node)
    for (place, name), ident in ids.items():
        text = HOSTILE[name]
        answer = node.tell("GET", f"/search?limit=1000&namespace={place}&q={asked(text)}")
        assert answer["query"] == text
        found = {memory["id"]: memory for memory in answer["memories"]}
        assert ident in found, (place, name)
        pieces = text.casefold().split()
        for memory in found.values():  # nothing else is found by what it would mean elsewhere
            said = " ".join((memory["title"], memory["content"], *memory["tags"])).casefold()
            assert all(piece in said for piece in pieces), (place, name, memory)


@pytest.mark.parametrize("where", ["overlay", "index"])
def test_a_recall_brings_it_before_what_only_is_newer(
    node: RealNode, ids: dict[tuple[str, str], str], where: str
) -> None:
    if where == "index":
        level(node)
    for (place, name), ident in ids.items():
        body = {"context": HOSTILE[name], "namespace": place, "limit": 50}
        answer = node.tell("POST", "/recall", body)
        found = [memory["id"] for memory in answer["memories"] if memory["score"] > 0]
        assert ident in found, (place, name)


def test_a_filter_by_tag_takes_it_as_it_stands(
    node: RealNode, ids: dict[tuple[str, str], str]
) -> None:
    for name, text in HOSTILE.items():
        found = listed(node, f"/memories?limit=1000&tags={asked(text[:128])}")
        assert found == [ids["title", name]], name


def test_blanks_are_kept_and_are_no_question(node: RealNode) -> None:
    ident = node.store(BLANK, BLANK)["id"]
    assert (node.get(ident)["title"], node.get(ident)["content"]) == (BLANK, BLANK)
    for path in ("/search?q=", "/recall?context="):
        assert node.ask("GET", path + asked(BLANK)).status == 400


@pytest.mark.parametrize("name", LONG)
def test_the_largest_texts_are_kept_and_found(node: RealNode, name: str) -> None:
    text = LONG[name]
    body = {"title": f"long {name}", "content": text, "namespace": f"long-{name}"}
    raw = json.dumps(body, ensure_ascii=False).encode()
    ident = node.tell("POST", "/memories", raw)["id"]
    assert node.get(ident)["content"] == text
    assert listed(node, f"/search?namespace=long-{asked(name)}&q=long") == [ident]
    if " " in text:
        words = text[:12]
        assert ident in listed(node, f"/search?namespace=long-{asked(name)}&q={asked(words)}")
    body = {"context": text, "namespace": f"long-{name}"}
    reply = node.ask("POST", "/recall", json.dumps(body, ensure_ascii=False).encode())
    assert [memory["id"] for memory in reply.body["memories"]] == [ident]


def test_namespaces_and_links_keep_it(node: RealNode) -> None:
    for name, text in HOSTILE.items():
        if "/" in text:
            continue
        space = f"in/{text}"
        one = node.store("one", namespace=space)["id"]
        two = node.store("two", namespace=space)["id"]
        assert node.tell("POST", "/links", {"source_id": one, "target_id": two})
        walked = node.tell("POST", "/kg/query", {"source_id": one})["memories"]
        assert [memory["namespace"] for memory in walked] == [space], name
        assert set(listed(node, f"/memories?namespace={asked(space)}")) == {one, two}, name
        [child] = node.tell("GET", f"/taxonomy?root=in&limit=1000&prefix={asked(space)}")["tree"]
        assert (child["namespace"], child["count"]) == (space, 2), name
        shown = node.tell("GET", f"/namespaces/{asked(space)}/standard")
        assert shown["chain"] == ["*", "in", space], name
        rules = {"namespace": space, "governance": {"write": "any"}}
        assert node.tell("POST", "/namespaces", rules)["namespace"] == space
        assert node.tell("DELETE", f"/namespaces?namespace={asked(space)}")["cleared"] is True


def test_entities_answer_to_it(node: RealNode) -> None:
    for name, text in HOSTILE.items():
        body = {"canonical_name": text, "namespace": "named", "aliases": [f"{text[:120]}!", name]}
        made = node.tell("POST", "/entities", body)
        assert (made["canonical_name"], made["aliases"]) == (text, body["aliases"])
        assert node.get(made["entity_id"])["title"] == text
        for alias in (text, f"{text[:120]}!"):
            path = f"/entities/by_alias?namespace=named&alias={asked(alias)}"
            assert node.tell("GET", path)["entity_id"] == made["entity_id"], name


def test_messages_carry_it(node: RealNode) -> None:
    for number, (name, text) in enumerate(HOSTILE.items()):
        to = f"reader-{number}"
        node.tell("POST", "/notify", {"to": to, "subject": text, "body": text})
        [message] = node.tell("GET", "/inbox", X_Agent_Id=to)["messages"]
        for field in ("title", "subject", "payload", "content", "body"):
            assert message[field] == text, (name, field)


def test_subscriptions_and_reasons_keep_it(node: RealNode) -> None:
    for name, text in HOSTILE.items():
        space = text.replace("/", "|")
        made = node.tell(
            "POST", "/subscriptions", {"namespace": space, "secret": text, "agent_id": "ann"}
        )
        assert made["namespace"] == space, name
        assert "secret" not in made
        path = f"/subscriptions?agent_id=ann&namespace={asked(space)}"
        [shown] = node.tell("GET", path)["subscriptions"]
        assert (shown["id"], shown["namespace"]) == (made["id"], space), name
        assert node.tell("DELETE", path)["ids"] == [made["id"]], name
        ident = node.store("away", namespace="away")["id"]
        node.tell("POST", f"/archive/{ident}", {"reason": text})
        [kept, *_] = node.tell("GET", "/archive?namespace=away&limit=1")["memories"]
        assert (kept["id"], kept["archive_reason"]) == (ident, text), name


def test_forgetting_by_it_takes_nothing_else(node: RealNode) -> None:
    for name, text in HOSTILE.items():
        gone = node.store("t", f"before {text} behind", namespace="gone")["id"]
        stays = node.store("t", "before behind", namespace="gone")["id"]
        if name in {"only zero width", "only an override"} or text.strip():
            body = {"pattern": text, "namespace": "gone"}
            assert node.tell("POST", "/forget", body)["deleted"] == 1, name
            assert node.ask("GET", f"/memories/{gone}").status == 404
        assert node.get(stays)["content"] == "before behind"
        node.tell("POST", "/forget", {"ids": [stays]})
