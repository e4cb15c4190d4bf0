"""What a path may name, and the body of a route that needs none."""

import pytest

from tests.unit.http.conftest import API, World


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("%00", "the address contains U+0000"),
        ("abcdef%00", "the address contains U+0000"),
        ("%ff%fe", "the address is not UTF-8"),
        ("%ED%A0%80", "the address is not UTF-8"),
        ("%C0%80", "the address is not UTF-8"),
    ],
)
async def test_a_path_names_nothing_that_text_may_not_be(
    world: World, part: str, words: str
) -> None:
    for method, path in (
        ("GET", f"/memories/{part}"),
        ("DELETE", f"/archive/{part}"),
        ("POST", f"/namespaces/{part}/standard"),
    ):
        reply = await world.ask(method, f"{API}{path}", {"governance": {"write": "any"}})
        assert (reply.status, reply.json) == (400, {"error": "invalid_path", "detail": words})
    assert not world.node.log


async def test_who_may_not_come_in_is_not_told_about_its_path(world: World) -> None:
    world.keys = (bytes(32),)
    assert (await world.ask("GET", f"{API}/memories/%00")).status == 401


async def test_any_other_text_in_a_path_is_an_id_that_nothing_has(world: World) -> None:
    for part in ("%E2%80%AEabcdef", "%F0%9F%9A%80%F0%9F%9A%80", "a%2Fb%2Fc%2Fd", "%EF%BF%BD" * 6):
        assert (await world.ask("GET", f"{API}/memories/{part}")).status == 404, part


async def test_the_body_of_a_request_that_needs_none_is_looked_at(world: World) -> None:
    reply = await world.ask("POST", f"{API}/subscriptions", {}, x_agent_id="ai:alice")
    path = f"{API}/subscriptions/{reply.json['id']}"
    written = len(world.node.log)
    reply = await world.ask("DELETE", path, raw=b'{"x":1,"x":2}', x_agent_id="ai:alice")
    assert (reply.status, reply.json["error"]) == (400, "invalid_json")
    assert len(world.node.log) == written
    assert (await world.ask("DELETE", path, x_agent_id="ai:alice")).json["deleted"] is True
