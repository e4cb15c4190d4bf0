"""Whatever is asked of a document is answered as promised, and done as a whole or not at all."""

import json
from random import Random
from typing import Any

import pytest

from tests.integration.rig_documents import change_of, change_upon, in_base64
from tests.unit.http.conftest import World
from tests.unit.http.test_http_documents import AUTOMERGE, splice, written

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(1, 6))]
TAKEN = {200, 400, 409, 413}
OPS = ("put", "insert", "delete", "splice", "increment", "make", "", None, 5)
TYPES = (
    *("text", "string", "counter", "timestamp", "bytes", "uint", "int", "float"),
    *("table", "", None, 5),
)


def value(chance: Random, depth: int = 0) -> Any:
    """Any JSON."""
    kind = chance.randrange(9 if depth < 3 else 7)
    if kind == 7:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 8:
        return {str(n): value(chance, depth + 1) for n in range(chance.randrange(4))}
    return chance.choice(
        (
            *(None, True, False, 0, -1, 1.5, -0.0, 2**63 - 1, -(2**63), 2**64 - 1, 1e300),
            *("", "words", "\u00e4\U0001f600", "x" * 300, "2026-01-01T00:00:00Z", "AA==", "text"),
        )
    )


def edit(chance: Random) -> Any:
    """Something like an edit."""
    if chance.random() < 0.5:
        return chance.choice(
            (
                {"op": "splice", "path": ["text"], "index": 2, "delete": 1, "insert": "ab"},
                {"op": "splice", "path": ["list"], "insert": [value(chance)]},
                {"op": "put", "path": ["map", str(chance.randrange(3))], "value": value(chance)},
                {"op": "put", "path": ["list", 0], "value": value(chance)},
                {"op": "delete", "path": ["map", str(chance.randrange(3))]},
                {"op": "increment", "path": ["counter"], "by": chance.choice((1, -5, 2**62))},
            )
        )
    if chance.random() < 0.05:
        return value(chance)
    steps = ("text", "list", "map", "counter", "", "a", 0, 1, 99, -1, 1.5, None, True, [])
    out = {
        "op": chance.choice(OPS),
        "path": [chance.choice(steps) for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3)))],
    }
    for name in ("value", "values", "insert", "by", "count", "delete", "index", "type", "other"):
        if chance.random() < 0.35:
            out[name] = chance.choice(TYPES) if name == "type" else value(chance)
    return out


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_edit_breaks_a_document(world: World, seed: int) -> None:
    print("seed", seed)
    chance = Random(seed)
    path = f"{await written(world)}/document"
    begin = [
        {"op": "put", "path": ["list"], "value": [1, "two", {}]},
        {"op": "put", "path": ["map"], "value": {"a": 1}},
        {"op": "put", "path": ["counter"], "value": 5, "type": "counter"},
    ]
    assert (await world.ask("PATCH", path, begin)).status == 200
    seen = [(await world.ask("GET", path)).json]
    taken = 0
    for _ in range(60):
        body: Any = {"ops": [edit(chance) for _ in range(chance.randint(1, 3))]}
        if chance.random() < 0.4:
            body["heads"] = chance.choice(seen)["heads"]
        reply = await world.ask("PATCH", path, body)
        assert reply.status in TAKEN, (body, reply.body, world.events)
        now = await world.ask("GET", path)
        assert now.status == 200, (body, now.body, world.events)
        if reply.status == 200:
            taken += 1
            seen.append(now.json)
            assert now.json["heads"] == reply.json["heads"]
        else:
            assert now.json == seen[-1], body
    assert taken > 5
    past = chance.choice(seen)
    was = await world.ask("GET", f"{path}?heads={','.join(past['heads'])}")
    assert was.json["value"] == past["value"]
    assert (await world.ask("GET", f"{path}?verify=1")).json["verified"]["agrees"] is not False


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_bytes_break_a_document(world: World, seed: int) -> None:
    print("seed", seed)
    chance = Random(seed)
    path = f"{await written(world)}/document"
    await world.ask("PATCH", path, [splice("more ")])
    good = [change_of("a"), change_upon([change_of("a")], 9)]
    whole = (await world.ask("GET", path, accept=AUTOMERGE)).body
    before = (await world.ask("GET", path)).json
    for _ in range(120):
        data = bytearray(chance.choice((whole, good[0].data, good[1].data, whole + good[1].data)))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(data))
            data[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        reply = await world.ask("POST", f"{path}/changes", raw=bytes(data), Content_Type=AUTOMERGE)
        assert reply.status in TAKEN, (data.hex(), reply.body, world.events)
    after = (await world.ask("GET", path)).json
    assert after["set_aside"] == []
    if after["changes"] == before["changes"]:
        assert after == before
    body = {"changes": in_base64(*reversed(good))}
    assert (await world.ask("POST", f"{path}/changes", body)).status == 200


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_address_breaks_a_document(world: World, seed: int) -> None:
    print("seed", seed)
    chance = Random(seed)
    path = f"{await written(world)}/document"
    head = (await world.ask("GET", path)).json["heads"][0]
    for _ in range(60):
        parts = [chance.choice((head, head[:10], "00" * 32, "", "%00", "g" * 64, head.upper()))]
        text = ",".join(parts * chance.randint(1, 3))
        name = chance.choice(("heads", "since", "limit", "verify"))
        part = chance.choice(("", "/changes", "/history"))
        accept = chance.choice((AUTOMERGE, "application/json", "*/*;q=", "\u00e4"))
        reply = await world.ask("GET", f"{path}{part}?{name}={text}", accept=accept)
        assert reply.status in TAKEN, (name, text, reply.body, world.events)
        if reply.status != 200:
            assert json.loads(reply.body)["error"]
