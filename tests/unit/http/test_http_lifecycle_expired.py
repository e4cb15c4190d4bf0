"""What has expired, or lies in the archive, shows in no answer: every route that reads.

Law: the routes are taken from the table, so a new one is asked as soon as it is there.
"""

import pytest

from node.http.routes import Route, Touches
from node.http.table import TABLE
from tests.unit.http.conftest import API, World
from tests.unit.http.test_http_visibility import QUERIES, glimpse

READING = [
    route
    for route in TABLE
    if route.touches is Touches.READS
    and route.method == "GET"
    and not route.path.endswith("stream")
    and "/sync/" not in route.path
]
ARCHIVE = (f"{API}/archive", f"{API}/archive/stats")
WORDS = ("gone title", "gone content")


@pytest.mark.parametrize("archived", [False, True], ids=["expired", "archived"])
@pytest.mark.parametrize("route", READING, ids=lambda route: route.path)
async def test_it_shows_nowhere_at_once(world: World, route: Route, *, archived: bool) -> None:
    if archived and route.path in ARCHIVE:
        pytest.skip("shows the archive")
    shown = (await world.store("shown"))["id"]
    gone = await world.store(
        "gone title",
        content="gone content",
        namespace="hushed",
        tags=["hush-tag"],
        ttl_secs=60,
        metadata={"session_id": "hush-session", "topic": "hush"},
    )
    for pair in ((shown, gone["id"]), (gone["id"], shown)):
        link = {"source_id": pair[0], "target_id": pair[1], "relation": "related_to"}
        await world.ask("POST", f"{API}/links", link, x_agent_id="ai:alice")
    if archived:
        await world.ask("POST", f"{API}/archive/{gone['id']}", x_agent_id="ai:alice")
    else:
        world.node.clock.ms += 60_000
    for ident in (shown, gone["id"]):
        base = route.path.replace("{id}", ident).replace("{ns}", "hushed")
        for query in QUERIES:
            reply = await glimpse(world, f"{base}{query}", x_agent_id="ai:alice")
            assert reply.status != 500, reply.body
            told = reply.body.decode()
            assert not [word for word in WORDS if word in told], f"{base}{query}"
            if ident == shown:
                history = route.path.endswith("/history")
                assert history or gone["id"] not in told, f"{base}{query}: {told}"
