"""What the tools for documents ask of a node."""

from typing import Any

import pytest

from node.mcp.arguments import BadArguments, checked
from node.mcp.profiles import tools_of
from node.mcp.tool import Outcome

H1, H2 = "11" * 32, "22" * 32
DOCUMENT = "/api/v1/memories/d%2F1/document"


class Heard:
    """An `Api` with one document, that notes what it is asked."""

    def __init__(self, value: dict[str, Any] | None = None) -> None:
        self.value = {"text": "the cat and the hat"} if value is None else value
        self.asked: list[tuple[str, str, Any, Any]] = []

    async def request(
        self, method: str, path: str, *, params: Any = None, body: Any = None, **_more: Any
    ) -> dict[str, Any]:
        self.asked.append((method, path, params, body))
        return {"id": "d/1", "heads": [H1], "value": self.value}


async def edited(api: Heard, **given: Any) -> Outcome:
    tool = tools_of("full")["memory_document_edit"]
    return await tool.run(api, checked(tool, {"id": "d/1", **given}))


def spliced(index: int, delete: int, insert: str) -> dict[str, Any]:
    return {"op": "splice", "path": ["text"], "index": index, "delete": delete, "insert": insert}


async def test_words_are_replaced_where_they_were_read() -> None:
    api = Heard()
    replaced = [{"old": "the cat", "new": "A"}, {"old": "hat", "new": "B"}]
    await edited(api, replace=replaced, append="!", message="why")
    read, written = api.asked
    assert read == ("GET", DOCUMENT, None, None)
    assert written[:2] == ("PATCH", DOCUMENT)
    end = {"op": "splice", "path": ["text"], "insert": "!"}
    ops = [spliced(16, 3, "B"), spliced(0, 7, "A"), end]
    assert written[3] == {"heads": [H1], "message": "why", "ops": ops}


async def test_words_are_looked_for_in_the_state_that_is_named() -> None:
    api = Heard()
    await edited(api, replace=[{"old": "cat", "new": "dog"}], heads=[H2])
    assert api.asked[0] == ("GET", DOCUMENT, {"heads": H2}, None)


async def test_ops_go_as_they_are_and_nothing_is_read_for_them() -> None:
    api, op = Heard(), {"op": "increment", "path": ["count"]}
    await edited(api, ops=[op], heads=[H2])
    assert api.asked == [("PATCH", DOCUMENT, None, {"heads": [H2], "ops": [op]})]


@pytest.mark.parametrize(
    ("replaced", "words"),
    [
        ([{"old": "dog", "new": ""}], "item 0: old does not stand in the text"),
        (
            [{"old": "cat", "new": ""}, {"old": "the", "new": ""}],
            "item 1: old stands there 2 times",
        ),
        ([{"old": "cat and", "new": ""}, {"old": "and the", "new": ""}], "overlap"),
    ],
)
async def test_words_that_do_not_name_one_place_change_nothing(
    replaced: list[dict[str, str]], words: str
) -> None:
    api = Heard()
    with pytest.raises(BadArguments, match=words):
        await edited(api, replace=replaced)
    assert [asked[0] for asked in api.asked] == ["GET"]


async def test_a_document_without_a_text_takes_ops_alone() -> None:
    with pytest.raises(BadArguments, match="no text"):
        await edited(Heard({"plan": []}), replace=[{"old": "a", "new": "b"}])


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"replace": []},
        {"ops": [{"op": "move", "path": []}]},
        {"ops": [{"op": "put"}]},
        {"replace": [{"old": "", "new": "x"}]},
        {"texts": "a"},
    ],
)
async def test_what_says_nothing_is_refused_before_anything_is_asked(given: Any) -> None:
    api = Heard()
    with pytest.raises(BadArguments):
        await edited(api, **given)
    assert api.asked == []
