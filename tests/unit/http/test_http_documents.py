"""Documents over HTTP: what is told of them, edits, changes, and what is refused."""

import base64
from typing import Any

import pytest

from crdt.document.chunk import split_chunks
from crdt.document.model import DocumentLimits
from tests.integration.rig_documents import change_of, in_base64
from tests.unit.http.conftest import API, Reply, Started, World

AUTOMERGE = "application/vnd.automerge"
H0 = "00" * 32
EVE = {"x_agent_id": "ai:eve"}
PARTS = ("document", "document/changes", "document/history")


def splice(text: str, index: int = 0, delete: int = 0) -> dict[str, Any]:
    return {"op": "splice", "path": ["text"], "index": index, "delete": delete, "insert": text}


async def written(world: World, content: str = "words", **fields: Any) -> str:
    made = await world.store(content=content, memory_kind="document", **fields)
    return f"{API}/memories/{made['id']}"


async def patched(world: World, path: str, *ops: dict[str, Any], **headers: str) -> Reply:
    return await world.ask("PATCH", f"{path}/document", list(ops), x_agent_id="ai:bob", **headers)


async def test_plain_content_is_a_document_before_anybody_edits_it(world: World) -> None:
    path = await written(world)
    reply = await world.ask("GET", f"{path}/document")
    assert reply.status == 200
    told = reply.json
    assert (told["value"], told["types"]) == ({"text": "words"}, {"/text": "text"})
    assert (told["title"], told["version"], told["changes"]) == ("A title", 1, 1)
    assert (told["conflicts"], told["set_aside"], told["set_aside_count"]) == ({}, [], 0)
    assert [len(one) for one in told["heads"]] == [64]
    memory = await world.ask("GET", path)
    assert reply.headers["ETag"] == memory.headers["ETag"]
    assert memory.json["content"] == "words"


async def test_an_edit_shows_everywhere_and_tells_where_it_is(world: World) -> None:
    path = await written(world)
    reply = await patched(world, path, splice("more "), splice("!", 10))
    assert reply.status == 200
    told = reply.json
    assert told["heads"] == [told["change"]]
    assert told["durability"]["peers"] == ["node-b"]
    assert (told["quorum_acks"], told["version"]) == (2, 2)
    memory = await world.ask("GET", path)
    assert memory.json["content"] == "more words!"
    assert memory.headers["ETag"] == reply.headers["ETag"]
    shown = (await world.ask("GET", f"{path}/document")).json
    assert (shown["value"]["text"], shown["heads"]) == ("more words!", told["heads"])
    listed = (await world.ask("GET", f"{API}/memories")).json["memories"]
    assert [one["content"] for one in listed] == ["more words!"]


async def test_what_the_client_holds_is_not_sent_again(world: World) -> None:
    path = await written(world)
    tag = (await world.ask("GET", f"{path}/document")).headers["ETag"]
    for held in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        reply = await world.ask("GET", f"{path}/document", if_none_match=held)
        assert (reply.status, reply.body, reply.headers["ETag"]) == (304, b"", tag)
        # RFC 9110, section 8.6: what a 304 says of a length must be that of the 200.
        assert "Content-Length" not in reply.headers
    assert (await world.ask("GET", f"{path}/document", if_none_match='"x"')).status == 200
    await patched(world, path, splice("more "))
    assert (await world.ask("GET", f"{path}/document", if_none_match=tag)).status == 200


async def test_an_earlier_state_is_shown_as_it_was(world: World) -> None:
    path = await written(world)
    before = (await world.ask("GET", f"{path}/document")).json
    await patched(world, path, splice("more "), {"op": "put", "path": ["n"], "value": 1})
    was = (await world.ask("GET", f"{path}/document?heads={before['heads'][0]}")).json
    assert (was["value"], was["heads"], was["changes"]) == (before["value"], before["heads"], 1)


async def test_the_bytes_are_those_that_any_library_takes(world: World) -> None:
    path = await written(world)
    first = (await world.ask("GET", f"{path}/document")).json["heads"]
    told = (await patched(world, path, splice("more "))).json
    whole = await world.ask("GET", f"{path}/document", accept=AUTOMERGE)
    assert whole.headers["Content-Type"] == AUTOMERGE
    assert whole.headers["X-Document-Heads"] == told["change"]
    assert whole.headers["Vary"] == "Accept"
    assert len(split_chunks(whole.body, DocumentLimits())) == 2
    changes = await world.ask("GET", f"{path}/document/changes")
    listed = [base64.b64decode(one) for one in changes.json["changes"]]
    assert b"".join(listed) == whole.body
    since = f"{path}/document/changes?since={first[0]}"
    assert (await world.ask("GET", since, accept=AUTOMERGE)).body == listed[1]
    assert (await world.ask("GET", since)).json["heads"] == told["heads"]


@pytest.mark.parametrize("form", ["json", AUTOMERGE, "application/octet-stream; charset=x"])
async def test_changes_of_any_client_are_taken_once(world: World, form: str) -> None:
    path = await written(world)
    change = change_of("brought", 5)

    async def bring() -> Reply:
        if form == "json":
            body = {"changes": in_base64(change, change)}
            return await world.ask("POST", f"{path}/document/changes", body)
        return await world.ask(
            "POST", f"{path}/document/changes", raw=change.data, Content_Type=form
        )

    told = (await bring()).json
    assert (told["added"], told["known"]) == (1, 0)
    assert change.hash.hex() in told["heads"]
    assert told["durability"]["dot"]
    assert (await world.ask("GET", f"{path}/document")).json["value"] == {
        "brought": 5, "text": "words",
    }  # fmt: skip
    again = (await bring()).json
    assert (again["added"], again["known"], again["durability"]["needed"]) == (0, 1, 0)
    assert again["heads"] == told["heads"]
    assert again["version"] == told["version"]


async def test_history_is_told_newest_first(world: World) -> None:
    path = await written(world)
    body = {"ops": [splice("more ")], "message": "why"}
    made = await world.ask("PATCH", f"{path}/document", body, x_agent_id="ai:bob")
    told = (await world.ask("GET", f"{path}/document/history")).json
    newest, seed = told["history"]
    assert (newest["hash"], newest["message"], newest["agent_id"]) == (
        made.json["change"], "why", "ai:bob",
    )  # fmt: skip
    assert newest["deps"] == [seed["hash"]]
    assert newest["time"].endswith(".000Z")
    assert newest["at"] > seed["at"] or newest["at"] == seed["at"]
    assert (newest["ops"], seed["time"], seed["agent_id"]) == (5, None, "ai:alice")
    assert (told["count"], told["heads"]) == (2, [newest["hash"]])
    one = (await world.ask("GET", f"{path}/document/history?limit=1")).json
    assert [entry["hash"] for entry in one["history"]] == [newest["hash"]]


async def test_an_edit_stands_on_the_heads_that_were_read(world: World) -> None:
    path = await written(world, "bd")
    seen = (await world.ask("GET", f"{path}/document")).json["heads"]
    await patched(world, path, splice("aaa"))
    body = {"ops": [splice("c", 1)], "heads": seen}
    assert (await world.ask("PATCH", f"{path}/document", body)).status == 200
    assert (await world.ask("GET", path)).json["content"] == "aaabcd"


async def test_a_retry_is_the_same_edit(world: World) -> None:
    path = await written(world)
    first = await patched(world, path, splice("a"), idempotency_key="k-1")
    await patched(world, path, splice("b"))
    again = await patched(world, path, splice("a"), idempotency_key="k-1")
    assert again.json["change"] == first.json["change"]
    assert (await world.ask("GET", path)).json["content"] == "bawords"
    other = await patched(world, path, splice("c"), idempotency_key="k-1")
    assert (other.status, other.json["error"]) == (409, "idempotency_key_reused")


async def test_an_edit_of_another_version_than_named_is_refused(world: World) -> None:
    path = await written(world)
    tag = (await world.ask("GET", f"{path}/document")).headers["ETag"]
    assert (await patched(world, path, splice("a"), if_match=tag)).status == 200
    late = await patched(world, path, splice("b"), if_match=tag)
    assert (late.status, late.json["error"]) == (412, "precondition_failed")
    body = {"changes": in_base64(change_of("k"))}
    late = await world.ask("POST", f"{path}/document/changes", body, if_match=tag)
    assert late.status == 412
    assert (await world.ask("GET", path)).json["content"] == "awords"


@pytest.mark.parametrize(
    ("body", "error", "index"),
    [
        ([splice("a"), splice("b", 99)], "bad_edit", 1),
        ([{"op": "move", "path": ["text"]}], "bad_edit", 0),
        ([{"op": "increment", "path": ["text"]}], "bad_edit", 0),
        ([], "bad_edit", None),
        ({"ops": 5}, "bad_edit", None),
        ({}, "bad_edit", None),
        ({"ops": [splice("a")], "heads": ["xyz"]}, "invalid_field", None),
        ({"ops": [splice("a")], "heads": 5}, "invalid_field", None),
        ({"ops": [splice("a")], "message": 5}, "invalid_field", None),
        ("text", "invalid_json", None),
    ],
)
async def test_what_is_no_edit_says_which_and_changes_nothing(
    world: World, body: Any, error: str, index: int | None
) -> None:
    path = await written(world)
    reply = await world.ask("PATCH", f"{path}/document", body)
    assert (reply.status, reply.json["error"], reply.json.get("index")) == (400, error, index)
    assert (await world.ask("GET", path)).json["version"] == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("document?heads=abc", "heads"),
        (f"document?heads={H0},", None),
        ("document?heads=" + "g" * 64, "heads"),
        ("document?verify=perhaps", "verify"),
        ("document/changes?since=abc", "since"),
        ("document/history?limit=-1", "limit"),
        ("document/history?limit=x", "limit"),
    ],
)
async def test_what_an_address_says_wrongly_is_named(
    world: World, query: str, field: str | None
) -> None:
    path = await written(world)
    reply = await world.ask("GET", f"{path}/{query}")
    if field is None:
        assert (reply.status, reply.json["missing"]) == (409, [H0])
    else:
        assert (reply.status, reply.json["field"]) == (400, field)


async def test_heads_that_are_not_here_are_named(world: World) -> None:
    path = await written(world)
    for query in (f"document?heads={H0}", f"document/changes?since={H0}"):
        reply = await world.ask("GET", f"{path}/{query}")
        assert (reply.status, reply.json["error"]) == (409, "heads_unknown")
        assert reply.json["missing"] == [H0]
    body = {"ops": [splice("a")], "heads": [H0]}
    reply = await world.ask("PATCH", f"{path}/document", body)
    assert (reply.status, reply.json["missing"]) == (409, [H0])


async def test_changes_that_lack_others_are_refused_and_named(world: World) -> None:
    one, two = await written(world), await written(world, "other words")
    await patched(world, one, splice("a"))
    told = (await patched(world, one, splice("b"))).json
    last = (await world.ask("GET", f"{one}/document/changes")).json["changes"][-1]
    reply = await world.ask("POST", f"{two}/document/changes", {"changes": [last]})
    assert (reply.status, reply.json["error"]) == (409, "changes_missing")
    assert len(reply.json["missing"]) == 1
    assert reply.json["missing"] != told["heads"]


@pytest.mark.parametrize(
    ("body", "error", "field"),
    [
        ({}, "invalid_field", "changes"),
        ({"changes": "YQ=="}, "invalid_field", "changes"),
        ({"changes": [5]}, "invalid_field", "changes"),
        ({"changes": ["*"]}, "invalid_field", "changes"),
        ({"changes": ["YQ"]}, "invalid_field", "changes"),
        ({"changes": ["YQ=="]}, "bad_change", None),
        (b"\x85\x6f\x4a\x83nonsense", "bad_change", None),
    ],
)
async def test_what_are_no_changes_is_refused(
    world: World, body: Any, error: str, field: str | None
) -> None:
    path = f"{await written(world)}/document/changes"
    if isinstance(body, bytes):
        reply = await world.ask("POST", path, raw=body, Content_Type=AUTOMERGE)
    else:
        reply = await world.ask("POST", path, body)
    assert (reply.status, reply.json["error"], reply.json.get("field")) == (400, error, field)


async def test_bytes_without_their_type_are_no_json(world: World) -> None:
    path = f"{await written(world)}/document/changes"
    reply = await world.ask("POST", path, raw=change_of("k").data)
    assert (reply.status, reply.json["error"]) == (400, "invalid_json")


async def test_another_memory_is_no_document(world: World) -> None:
    made = await world.store()
    path = f"{API}/memories/{made['id']}"
    replies = [await world.ask("GET", f"{path}/{part}") for part in PARTS]
    replies.append(await patched(world, path, splice("a")))
    body = {"changes": in_base64(change_of("k"))}
    replies.append(await world.ask("POST", f"{path}/document/changes", body))
    assert {(one.status, one.json["error"]) for one in replies} == {(409, "not_a_document")}


async def test_what_a_caller_may_not_see_is_not_there(world: World) -> None:
    path = await written(world, scope="private")
    replies = [await world.ask("GET", f"{path}/{part}", **EVE) for part in PARTS]
    replies.append(await world.ask("PATCH", f"{path}/document", [splice("a")], **EVE))
    body = {"changes": in_base64(change_of("k"))}
    replies.append(await world.ask("POST", f"{path}/document/changes", body, **EVE))
    assert {(one.status, one.json["error"]) for one in replies} == {(404, "not_found")}
    mine = await world.ask("GET", f"{path}/document", x_agent_id="ai:alice")
    assert mine.json["value"] == {"text": "words"}


async def test_what_is_archived_is_not_there_and_comes_back_whole(world: World) -> None:
    path = await written(world)
    told = (await patched(world, path, splice("a"))).json
    ident = path.rpartition("/")[2]
    assert (await world.ask("POST", f"{API}/archive/{ident}", {})).status == 200
    for part in PARTS:
        assert (await world.ask("GET", f"{path}/{part}")).status == 404
    assert (await patched(world, path, splice("b"))).status == 404
    await world.ask("POST", f"{API}/archive/{ident}/restore", {})
    assert (await world.ask("GET", f"{path}/document")).json["heads"] == told["heads"]


async def test_an_edit_may_wait_for_approval(world: World) -> None:
    path = await written(world)
    world.node.pending_id = "p-1"
    reply = await patched(world, path, splice("a"))
    assert (reply.status, reply.json["status"]) == (202, "pending")
    assert (reply.json["pending_id"], reply.json["action"]) == ("p-1", "store")
    assert "durability" in reply.json
    assert "heads" not in reply.json


async def test_a_shortfall_is_told_with_the_id(world: World) -> None:
    path = await written(world)
    world.node.acks = 1
    for reply in (
        await patched(world, path, splice("a")),
        await world.ask("POST", f"{path}/document/changes", {"changes": in_base64(change_of("k"))}),
    ):
        assert (reply.status, reply.json["error"]) == (503, "quorum_not_met")
        assert reply.json["id"] == path.rpartition("/")[2]
        assert reply.headers["Retry-After"] == "2"
    assert (await world.ask("GET", path)).json["content"] == "awords"


async def test_reads_are_causal(world: World) -> None:
    path = await written(world)
    token = (await patched(world, path, splice("a"))).json["durability"]["token"]
    for part in PARTS:
        reply = await world.ask("GET", f"{path}/{part}", x_causal_token=token)
        assert (reply.status, "X-Causal-Token" in reply.headers) == (200, True)
    ahead = world.node.token_of({world.node.actors[False]: 10**6})
    for part in PARTS:
        reply = await world.ask("GET", f"{path}/{part}", x_causal_token=ahead)
        assert (reply.status, reply.json["error"]) == (412, "behind")


async def test_a_document_beyond_its_bounds_says_which(start: Started) -> None:
    world: World = await start(document_limits=DocumentLimits(change_ops_max=8, changes_max=3))
    path = await written(world)
    reply = await patched(world, path, splice("123456789"))
    assert (reply.status, reply.json["error"]) == (413, "document_too_large")
    assert (reply.json["bound"], reply.json["most"]) == ("change_ops_max", 8)
    for number in range(2):
        assert (await patched(world, path, splice(str(number)))).status == 200
    reply = await patched(world, path, splice("x"))
    assert (reply.status, reply.json["bound"]) == (413, "changes_max")
    reply = await world.ask(
        "POST", f"{path}/document/changes", {"changes": in_base64(change_of("k"))}
    )
    assert (reply.status, reply.json["got"], reply.json["most"]) == (413, 4, 3)


async def test_a_second_program_is_asked_when_that_is_wanted(world: World) -> None:
    path = await written(world)
    tag = (await patched(world, path, splice("a"))).headers["ETag"]
    told = (await world.ask("GET", f"{path}/document?verify=true", if_none_match=tag)).json
    assert told["verified"]["agrees"] is not False
    assert told["verified"]["detail"]
    assert "verified" not in (await world.ask("GET", f"{path}/document?verify=0")).json


async def test_reads_and_writes_are_counted(world: World) -> None:
    path = await written(world)
    await patched(world, path, splice("a"))
    await world.ask("GET", f"{path}/document")
    assert (await world.ask("GET", path)).json["access_count"] == 2
