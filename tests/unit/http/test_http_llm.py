"""Tags and further words over HTTP: with a model, and mostly without."""

from collections.abc import Iterator
from typing import Any

import pytest

from node.llm.model import LanguageModel, ModelTarget
from tests.unit.http.conftest import API, Reply, Started, World
from tests.unit.llm.endpoint import Endpoint, endpoint


@pytest.fixture
def there() -> Iterator[Endpoint]:
    with endpoint() as model:
        yield model


@pytest.fixture
async def smart(start: Started, there: Endpoint) -> World:
    model = LanguageModel(ModelTarget(url=there.url, model="m-1"))
    world: World = await start(parts={"llm": model})
    return world


async def ask(world: World, route: str, body: Any, agent: str = "ai:alice") -> Reply:
    return await world.ask("POST", f"{API}/{route}", body, x_agent_id=agent)


@pytest.mark.parametrize("route", ["auto_tag", "expand_query"])
@pytest.mark.parametrize("body", [None, {}, {"id": "no-such"}, {"query": "x"}])
async def test_without_a_model_it_says_so(world: World, route: str, body: Any) -> None:
    reply = await ask(world, route, body)
    assert (reply.status, reply.json["error"]) == (503, "llm_not_configured")
    told = (await world.ask("GET", f"{API}/capabilities")).json
    assert (told["tier"] != "smart", told["models"]["llm"]) == (True, None)
    assert told["features"]["auto_tag"] is False


async def test_tags_are_suggested_and_not_written(smart: World, there: Endpoint) -> None:
    there.says(["maths", "history"])
    made = await smart.store("Ada", content="wrote programs", tags=["maths"])
    minted = len(smart.node.log)
    told = (await ask(smart, "auto_tag", {"id": made["id"]})).json
    assert told == {
        "id": made["id"],
        "tags": ["maths", "history"],
        "new_tags": ["history"],
        "all_tags": ["maths", "history"],
    }
    assert there.asked[0][2]["messages"][1]["content"] == "Ada\n\nwrote programs"
    words = (await ask(smart, "auto_tag", {"content": "other words"})).json
    assert words["tags"] == ["maths", "history"]
    assert len(smart.node.log) == minted


async def test_a_query_gets_further_words(smart: World, there: Endpoint) -> None:
    there.says(["automobile"])
    told = (await ask(smart, "expand_query", {"query": "car"})).json
    assert (told["original"], told["expanded_terms"]) == ("car", ["automobile"])
    features = (await smart.ask("GET", f"{API}/capabilities")).json
    assert (features["tier"], features["models"]["llm"]) == ("smart", "m-1")


async def test_what_is_private_to_others_is_not_sent_to_the_model(
    smart: World, there: Endpoint
) -> None:
    made = await smart.store("own", scope="private")
    reply = await ask(smart, "auto_tag", {"id": made["id"]}, agent="ai:eve")
    assert reply.status == 404
    assert not there.asked


@pytest.mark.parametrize(
    ("route", "body", "field"),
    [
        ("auto_tag", {}, "id"),
        ("auto_tag", {"id": 7}, "id"),
        ("auto_tag", {"content": 7}, "content"),
        ("auto_tag", {"content": "c", "title": 7}, "title"),
        ("expand_query", {}, "query"),
        ("expand_query", {"query": ["x"]}, "query"),
    ],
)
async def test_bad_input_names_the_field(
    smart: World, there: Endpoint, route: str, body: Any, field: str
) -> None:
    reply = await ask(smart, route, body)
    assert (reply.status, reply.json["field"]) == (400, field)
    assert not there.asked


async def test_a_model_that_fails_is_no_error_of_the_node(smart: World, there: Endpoint) -> None:
    there.status = 500
    away = await ask(smart, "expand_query", {"query": "car"})
    assert (away.status, away.json["error"]) == (503, "llm_unavailable")
    there.status = 200
    there.says("I would rather not")
    refused = await ask(smart, "expand_query", {"query": "car"})
    assert (refused.status, refused.json["error"]) == (502, "llm_failed")
