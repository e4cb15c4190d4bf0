"""What no route takes: each is refused with its own status and words, and changes nothing.

Law: the routes come from the table. A refusal leaves clock and digest of the node as they
were, and no node answers 500 to anything.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.rig import RealNode, Reply, until_level
from tests.integration.rig_mesh import founded
from tests.integration.rig_push import Pusher
from tests.integration.rig_routes import ASKS, Name, Sample, furnished, samples, writing

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

_DEEP = 100_000
_BODY_MAX = 2 * 1024 * 1024
BROKEN: dict[str, tuple[bytes, str]] = {
    "U+0000": (b'"x":"a\\u0000b"', "x: contains U+0000."),
    "U+0000 in a list": (b'"x":[1,{"y":"\\u0000"}]', "x[1].y: contains U+0000."),
    "U+0000 in a key": (b'"a\\u0000":1', "a key: contains U+0000."),
    "half a pair": (b'"x":"\\ud800"', "x: contains half a surrogate pair."),
    "the other half": (b'"x":"a\\udfffb"', "x: contains half a surrogate pair."),
    "a pair turned round": (b'"x":"\\ude00\\ud83d"', "x: contains half a surrogate pair."),
    "half a pair in a key": (b'"\\udc00":1', "a key: contains half a surrogate pair."),
    "a key twice": (b'"x":1,"x":1', "the key 'x' stands twice in one object."),
    "a key twice inside": (b'"x":{"y":1,"y":2}', "the key 'y' stands twice in one object."),
    "a key twice, escaped": (b'"x":1,"\\u0078":2', "the key 'x' stands twice in one object."),
    "NaN": (b'"x":NaN', "NaN is no JSON number."),
    "Infinity": (b'"x":Infinity', "Infinity is no JSON number."),
    "-Infinity": (b'"x":[-Infinity]', "-Infinity is no JSON number."),
    "a huge float": (b'"x":1e999', "a number is beyond the range of a double."),
    "a huge whole": (b'"x":18446744073709551616', "a whole number is beyond 64 bits."),
    "too deep": (b'"x":' + b"[" * _DEEP + b"]" * _DEEP, "nested too deeply."),
    "a raw control": (b'"x":"a\x00b"', "not JSON: Invalid control character at character "),
    "no UTF-8": (b'"x":"\xff"', "not UTF-8 at byte"),
    "surrogates as bytes": (b'"x":"\xed\xa0\x80"', "not UTF-8 at byte"),
    "an overlong form": (b'"x":"\xc0\x80"', "not UTF-8 at byte"),
    "a trailing comma": (b'"x":1,', "not JSON: "),
    "single quotes": (b"'x':1", "not JSON: "),
}
WHOLE: dict[str, tuple[bytes, str]] = {
    "cut off": (b'{"title":"t","conte', "not JSON: "),
    "a byte order mark": (b"\xef\xbb\xbf{}", "not JSON: "),
    "two values": (b"{} {}", "not JSON: "),
    "UTF-16": ('{"x":1}'.encode("utf-16"), "not UTF-8 at byte"),
}
NO_OBJECT = (b"5", b'"text"', b"null", b"true")


@pytest.fixture(scope="module")
def known(node: RealNode) -> dict[str, str]:
    return furnished(node)


def state(node: RealNode) -> tuple[object, object]:
    told = node.mesh()
    return told["clock"], told["digest"]


def send(node: RealNode, name: Name, sample: Sample, body: object, **headers: str) -> Reply:
    return node.ask(name[0], sample.path, body, **{"X_Agent_Id": sample.agent, **headers})


def with_more(body: object, more: bytes) -> bytes:
    """The body of a sample with more fields, however these are spelt."""
    fields = json.dumps(body or {}).encode().removesuffix(b"}")
    return fields + (b"," if body else b"") + more + b"}"


def check_refused(reply: Reply, status: int, error: str, words: str, what: object) -> None:
    said = (reply.status, reply.body.get("error"), reply.body.get("detail", "")[: len(words)])
    assert said == (status, error, words), f"{what}: {reply.body}"


def test_every_writing_route_has_a_sample(known: dict[str, str]) -> None:
    assert set(samples(known)) == {*writing(), *ASKS}


@pytest.mark.parametrize("name", [*writing(), *sorted(ASKS)], ids=" ".join)
def test_no_route_takes_what_json_or_text_may_not_be(
    node: RealNode, known: dict[str, str], name: Name
) -> None:
    sample = samples(known)[name]
    before = state(node)
    for what, (more, words) in BROKEN.items():
        reply = send(node, name, sample, with_more(sample.body, more))
        check_refused(reply, 400, "invalid_json", words, (name, what))
    for what, (body, words) in WHOLE.items():
        reply = send(node, name, sample, body)
        check_refused(reply, 400, "invalid_json", words, (name, what))
    lists = name in {("POST", "/memories/bulk"), ("POST", "/import")}
    bare = lists or name == ("PATCH", "/memories/{id}/document")  # a list alone is taken
    for body in NO_OBJECT if bare else (*NO_OBJECT, b"[]"):
        reply = send(node, name, sample, body)
        error, words = ("invalid_json", "the body must be a JSON object")
        if lists:
            error, words = ("invalid_field", "memories: expected a list of memories.")
        check_refused(reply, 400, error, words, (name, body))
    assert state(node) == before


@pytest.mark.parametrize("name", [*writing(), *sorted(ASKS)], ids=" ".join)
def test_no_route_takes_more_than_a_body_or_a_name_may_be(
    node: RealNode, known: dict[str, str], name: Name
) -> None:
    sample = samples(known)[name]
    before = state(node)
    large = with_more(sample.body, b'"x":"' + b"x" * _BODY_MAX + b'"')
    reply = send(node, name, sample, large)
    words = f"the body has {len(large)} bytes or more, at most {_BODY_MAX} are taken"
    check_refused(reply, 413, "body_too_large", words, name)
    reply = send(node, name, sample, sample.body, Content_Encoding="gzip")
    check_refused(reply, 415, "content_encoding_not_supported", "", name)
    joint = "&" if "?" in sample.path else "?"
    reply = node.ask(name[0], f"{sample.path}{joint}api_key=k", sample.body)
    check_refused(reply, 400, "api_key_in_url", "", name)
    for agent in ("a b", "x" * 129, "a/../b", "\u00e4"):
        reply = send(node, name, sample, sample.body, X_Agent_Id=agent)
        check_refused(reply, 400, "invalid_field", "X-Agent-Id: ", (name, agent))
        assert reply.body["field"] == "X-Agent-Id"
    if name not in ASKS:
        for key in ("k" * 129, "a\tb"):
            reply = send(node, name, sample, sample.body, Idempotency_Key=key)
            words = "Idempotency-Key: expected 1 to 128 characters"
            check_refused(reply, 400, "invalid_field", words, (name, key))
    assert state(node) == before


@pytest.mark.parametrize("part", ["%00", "abcdef%00", "%ff%fe", "%ED%A0%80", "%C0%80"])
def test_no_path_names_what_text_may_not_be(
    node: RealNode, known: dict[str, str], part: str
) -> None:
    before = state(node)
    patterns = [name for name in writing() if "{" in name[1]]
    assert len(patterns) > 10
    for name in patterns:
        start, _, rest = name[1].partition("{")
        path = f"{start}{part}{rest.partition('}')[2]}"
        reply = send(node, name, Sample(path=path), samples(known)[name].body)
        words = "the address contains U+0000" if "%00" in part else "the address is not UTF-8"
        check_refused(reply, 400, "invalid_path", words, path)
    for path in (f"/memories/{part}", f"/links/{part}", f"/namespaces/{part}/standard"):
        assert node.ask("GET", path).status == 400, path
    assert state(node) == before


@pytest.mark.parametrize(
    "query",
    ["/memories?namespace=", "/search?q=", "/recall?context=", "/taxonomy?prefix=",
     "/entities/by_alias?alias=", "/kg/timeline?source_id=", "/contradictions?topic=",
     "/archive?namespace=", "/inbox?agent_id=", "/subscriptions?agent_id=",
     "/namespaces?namespace=", "/pending?namespace="],
)  # fmt: skip
def test_no_parameter_is_what_text_may_not_be(node: RealNode, query: str) -> None:
    name = query.partition("?")[2].removesuffix("=")
    reply = node.ask("GET", f"{query}a%00b")
    check_refused(reply, 400, "invalid_query", f"{name}: contains U+0000", query)
    for part in ("%ff", "%ED%A0%80"):
        reply = node.ask("GET", query + part)
        check_refused(reply, 400, "invalid_query", "the query cannot be read: ", query)


@pytest.fixture
def pushed(tmp_path: Path) -> Iterator[tuple[RealNode, Pusher]]:
    [one] = founded(tmp_path / "mesh", 1)
    try:
        one.start()
        yield one, Pusher.enrolled(one, tmp_path / "peer")
    finally:
        one.clean_up()


def test_no_peer_pushes_what_json_or_text_may_not_be(pushed: tuple[RealNode, Pusher]) -> None:
    node, peer = pushed
    until_level([node])
    before = state(node)
    row = {"sender_agent_id": "pusher", "memories": [{"id": "row-1", "title": "t", "content": "c"}]}
    bodies = {what: (with_more(row, more), words) for what, (more, words) in BROKEN.items()}
    for what, (body, words) in {**bodies, **WHOLE}.items():
        status, said = peer.ask("POST", "/sync/push", body, **peer.signed(body, f"n-{what}"))
        assert (status, said["error"]) == (400, "invalid_json"), (what, said)
        assert said["detail"].startswith(words), (what, said)
    assert state(node) == before
    assert peer.push({"memories": row["memories"]})["applied"] == 1
