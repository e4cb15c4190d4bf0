"""A language model over real sockets: its answers are bounded, its failures typed."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.errors import ConfigError, LooseModes
from node.limits import Limits
from node.llm import model as module
from node.llm.model import LanguageModel, ModelTarget
from node.llm.opening import open_model
from node.llm.problems import ModelAway, ModelFailed
from node.llm.tasks import tags_for, terms_for
from node.settings.sections import Llm
from tests.unit.llm.endpoint import Endpoint, endpoint

LIMITS = Limits()


@pytest.fixture
def there() -> Iterator[Endpoint]:
    with endpoint() as model:
        yield model


def speaker(there: Endpoint, **changes: Any) -> LanguageModel:
    return LanguageModel(ModelTarget(url=there.url, model="m-1", **changes))


async def test_it_is_asked_as_the_api_wants_it(there: Endpoint) -> None:
    there.says(["Mathematics", "history", "mathematics", 7, "x" * 129, " two\nwords "])
    tags = await tags_for(speaker(there, api_key="k"), "Ada", "wrote programs", LIMITS)
    assert tags == ["mathematics", "history", "two words"]
    path, headers, body = there.asked[0]
    assert (path, headers["authorization"]) == ("/v1/chat/completions", "Bearer k")
    assert (body["model"], body["stream"]) == ("m-1", False)
    assert [one["role"] for one in body["messages"]] == ["system", "user"]
    assert body["messages"][1]["content"] == "Ada\n\nwrote programs"


async def test_terms_leave_out_the_query_itself(there: Endpoint) -> None:
    there.says('Sure:\n```json\n["car", "Automobile", "car"]\n```')
    assert await terms_for(speaker(there), " Car", LIMITS) == ["Automobile"]
    assert "authorization" not in there.asked[0][1]


@pytest.mark.parametrize("words", ["no list", "[1, 2", "{}", "[}]"])
async def test_what_is_no_list_is_refused(there: Endpoint, words: str) -> None:
    there.says(words)
    with pytest.raises(ModelFailed):
        await tags_for(speaker(there), "t", "c", LIMITS)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"choices":[]}', b'{"choices":[{}]}', b"7"])
async def test_another_format_is_refused(there: Endpoint, body: bytes) -> None:
    there.body = body
    with pytest.raises(ModelFailed, match="another format"):
        await speaker(there).say("task", "text")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, ModelFailed),
        (302, ModelFailed),
        (404, ModelFailed),
        (429, ModelAway),
        (500, ModelAway),
    ],
)
async def test_a_status_says_whether_to_try_again(
    there: Endpoint, status: int, error: type[Exception]
) -> None:
    there.status, there.headers = status, {"location": f"{there.url}/elsewhere"}
    with pytest.raises(error, match=str(status)):
        await speaker(there).say("task", "text")
    assert len(there.asked) == 1


async def test_an_answer_without_end_is_cut(
    there: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_BYTES_MAX", 1000)
    there.says("x" * 2000)
    with pytest.raises(ModelFailed, match="more than 1000 bytes"):
        await speaker(there).say("task", "text")


async def test_it_has_a_deadline_and_a_bound_on_how_many_ask(there: Endpoint) -> None:
    there.go_on.clear()
    slow = speaker(there, timeout_secs=0.3, in_flight_max=1)
    first = asyncio.create_task(slow.say("task", "text"))
    await asyncio.sleep(0)
    with pytest.raises(ModelAway, match="too many"):
        await slow.say("task", "text")
    with pytest.raises(ModelAway, match="longer than"):
        await first
    there.go_on.set()
    there.says("again")
    assert await slow.say("task", "text") == "again"


async def test_nobody_there_is_told(there: Endpoint) -> None:
    with pytest.raises(ModelAway, match="cannot be reached"):
        await LanguageModel(ModelTarget(url="http://127.0.0.1:1/v1", model="m")).say("t", "x")
    assert not there.asked


def test_the_section_names_a_whole_model_or_none(tmp_path: Path) -> None:
    assert open_model(Llm(), {}) is None
    url = "https://model.example/v1"
    for half in (
        Llm(url=url),
        Llm(model="m"),
        Llm(url="ftp://x", model="m"),
        Llm(url="https://u:p@x/v1", model="m"),
        Llm(url=url, model="m", api_key_env="NO_SUCH"),
        Llm(url=url, model="m", api_key_file=tmp_path / "missing"),
    ):
        with pytest.raises(ConfigError):
            open_model(half, {})
    made = open_model(Llm(url=url, model="m", api_key_env="KEY"), {"KEY": "the-key"})
    assert made is not None
    assert made.name == "m"
    key = tmp_path / "key"
    key.write_text("the-key\n", encoding="utf-8")
    key.chmod(0o644)
    with pytest.raises(LooseModes):
        open_model(Llm(url=url, model="m", api_key_file=key), {})
    key.chmod(0o600)
    assert open_model(Llm(url=url, model="m", api_key_file=key), {}) is not None
    assert "the-key" not in repr(ModelTarget(url=url, model="m", api_key="the-key"))
