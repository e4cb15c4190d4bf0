"""Nothing about a signed message can be changed: 5,000 changed ones, all of them refused.

Law: each is one good message with one change, of every field and of every class of byte; it
is refused, mints nothing and burns no nonce, so the good one is accepted after all of them.
"""

import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
import pytest

from node.auth.enrolments import Enrolled
from node.auth.messages import authenticate_get, authenticate_push, sign_get, sign_push
from node.auth.refusals import AuthRefused
from node.auth.signatures import agent_bytes, get_bytes, header_of, push_bytes, sign_agent
from tests.unit.auth.rig import ALICE, API, BOB, CERT, PEER, World, peer_call, started
from transport.identity import NodeKey

SEED = 20_261
AGENTS, PUSHES, GETS = 2_000, 2_000, 1_000
PATH = f"{API}/memories"
PUSH_PATH, GET_PATH = f"{API}/sync/push", f"{API}/sync/since"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True)
class Message:
    """A signed request, of an agent or of a peer."""

    method: str
    path: str
    query: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    peer: str = CERT

    def having(self, **headers: str) -> "Message":
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with started(tmp_path / "nonces") as world:
        world.bind("ai:alice", ALICE)
        world.bind("ai:bob", BOB)
        for name, key, cert in (("peer-b", PEER, CERT), ("peer-c", BOB, "cd" * 32)):
            peer = Enrolled(peer_id=name, public_key=key.public, fingerprint=cert)
            world.enrolments = world.enrolments.with_peer(peer)
        yield world


def agents(nonce: str, key: NodeKey = ALICE) -> Message:
    body = orjson.dumps({"title": "Tea", "content": "Green — \u00e9"})
    bare = Message("POST", PATH, "from=x", body, {"x-agent-id": "ai:alice"})
    signature = sign_agent(key, bare.method, bare.path, bare.query, body, nonce)
    return bare.having(x_agent_nonce=nonce, x_agent_sig=signature)


def push(nonce: str, key: NodeKey = PEER) -> Message:
    body = orjson.dumps({"sender_agent_id": "peer-b", "memories": [{"title": "t"}]})
    bare = Message("POST", PUSH_PATH, "", body, {"x-peer-id": "peer-b"})
    return bare.having(x_memory_nonce=nonce, x_memory_sig=sign_push(key, body, nonce))


def get(key: NodeKey = PEER) -> Message:
    query = "since=2026-01-01T00:00:00Z&limit=5"
    bare = Message("GET", GET_PATH, query, b"", {"x-peer-id": "peer-b"})
    return bare.having(x_memory_sig=sign_get(key, "GET", GET_PATH, query))


def changed_bytes(dice: random.Random, data: bytes) -> bytes:
    """One byte flipped, dropped, doubled or added, or the end cut off."""
    place = dice.randrange(len(data))
    bit = bytes([data[place] ^ 1 << dice.randrange(8)])
    return dice.choice(
        [
            data[:place] + bit + data[place + 1 :],
            data[:place] + data[place + 1 :],
            data[:place] + data[place : place + 1] + data[place:],
            data[:place] + dice.randbytes(1) + data[place:],
            data[:place],
            data + b" ",
            b"\0" + data,
        ]
    )


def changed_signature(dice: random.Random, text: str) -> str:
    """One character of the base64, or the frame around it."""
    start, end = len("ed25519="), len(text) - 2
    place = dice.randrange(start, end)
    other = dice.choice([char for char in ALPHABET if char != text[place]])
    return dice.choice(
        [
            text[:place] + other + text[place + 1 :],
            text[: end - 1] + dice.choice([c for c in ALPHABET if c != text[end - 1]]) + "==",
            text[:place] + text[place + 1 :],
            text.replace("ed25519", "ed448"),
            text.upper(),
            text.rstrip("="),
            text[start:],
        ]
    )


def other_text(dice: random.Random, text: str) -> str:
    """A name or a nonce that is nearly the same."""
    place = dice.randrange(len(text))
    return dice.choice(
        [
            text[:place] + dice.choice("xyz!") + text[place + 1 :],
            text[:place] + text[place + 1 :],
            f"{text}{dice.choice('xyz')}",
            text.swapcase(),
            text * 40,
        ]
    )


def changes(dice: random.Random, good: Message, sig: str, kinds: list[bytes]) -> Iterator[Message]:
    """One change of each class to a message whose signature is in the header `sig`.

    Args:
        dice: chooses.
        good: the message.
        sig: name of the header.
        kinds: the bytes that a message of another kind would have signed.
    """
    names = [name for name in good.headers if name != sig]
    name = dice.choice(names)
    yield replace(good, headers={**good.headers, name: other_text(dice, good.headers[name])})
    name = dice.choice([*names, sig])
    yield replace(good, headers={k: v for k, v in good.headers.items() if k != name})
    text = good.headers[sig]
    yield replace(good, headers={**good.headers, sig: changed_signature(dice, text)})
    forger = NodeKey(dice.randbytes(32))
    for key, signed in ((ALICE, kinds), (BOB, kinds), (PEER, kinds), (forger, kinds)):
        header = header_of(key.sign(dice.choice(signed)))
        yield replace(good, headers={**good.headers, sig: header})
    if good.body:
        yield replace(good, body=changed_bytes(dice, good.body))


def elsewhere(dice: random.Random, good: Message) -> Iterator[Message]:
    """The same message for another address, where the address is signed."""
    yield replace(good, query=dice.choice([f"{good.query}&x=1", "", good.query.upper(), "a=b"]))
    yield replace(good, path=dice.choice([f"{API}/links", f"{PATH}/bulk", f"{good.path}/x"]))
    yield replace(good, method=dice.choice(["PUT", "DELETE", "HEAD"]))


async def test_every_changed_message_of_an_agent_is_refused(world: World) -> None:
    print(f"seed {SEED}")
    dice, count, good = random.Random(SEED), 0, agents("nonce-1")
    kinds = [
        push_bytes(good.body, "nonce-1"),
        get_bytes(good.method, good.path, good.query),
        agent_bytes(good.method, good.path, good.query, good.body, "nonce-2"),
        agent_bytes("PUT", good.path, good.query, good.body, "nonce-1"),
    ]
    while count < AGENTS:
        for bad in (*changes(dice, good, "x-agent-sig", kinds), *elsewhere(dice, good)):
            reply = await world.send(bad.method, bad.target, bad.body, bad.headers)
            assert reply.status in {401, 404, 405}, (bad, reply.body)
            assert not world.node.log, bad
            count += 1
    assert world.rejected("agent_signature_bad") > AGENTS / 3
    reply = await world.send(good.method, good.target, good.body, good.headers)
    assert reply.status == 201, reply.body
    reply = await world.send(good.method, good.target, good.body, good.headers)
    assert reply.outcome == (401, "agent_nonce_replay")
    assert len(world.node.log) == 1


async def refused(world: World, bad: Message) -> AuthRefused:
    call = peer_call(
        world,
        bad.headers,
        body=bad.body,
        peer=bad.peer,
        method=bad.method,
        path=bad.path,
        query_text=bad.query,
    )
    with pytest.raises(AuthRefused) as caught:
        await (authenticate_get(call) if bad.path.startswith(GET_PATH) else authenticate_push(call))
    return caught.value


async def test_every_changed_push_is_refused(world: World) -> None:
    print(f"seed {SEED}")
    dice, count, good = random.Random(SEED), 0, push("nonce-1")
    kinds = [
        agent_bytes(good.method, good.path, good.query, good.body, "nonce-1"),
        get_bytes(good.method, good.path, good.query),
        push_bytes(good.body, "nonce-2"),
        push_bytes(good.body + b"\0", "nonce-1"),
        good.body + b"nonce-1",
    ]
    codes: set[str] = set()
    while count < PUSHES:
        for bad in (
            *changes(dice, good, "x-memory-sig", kinds),
            replace(good, peer=dice.choice(["cd" * 32, "ef" * 32])),
            good.having(x_peer_id="peer-c"),
        ):
            codes.add((await refused(world, bad)).code)
            count += 1
    assert codes == {
        "x_memory_sig_missing",
        "x_memory_sig_malformed",
        "x_memory_sig_bad_signature",
        "x_memory_nonce_missing",
        "peer_not_enrolled",
    }
    call = peer_call(world, good.headers, body=good.body)
    assert (await authenticate_push(call)).peer_id == "peer-b"
    assert (await refused(world, good)).code == "x_memory_nonce_replay"


async def test_every_changed_get_is_refused(world: World) -> None:
    print(f"seed {SEED}")
    dice, count, good = random.Random(SEED), 0, get()
    kinds = [
        agent_bytes(good.method, good.path, good.query, b"", "n"),
        push_bytes(b"", "n"),
        get_bytes("HEAD", good.path, good.query),
        get_bytes(good.method, good.path, ""),
    ]
    while count < GETS:
        for bad in (
            *changes(dice, good, "x-memory-sig", kinds),
            replace(good, query=dice.choice([f"{good.query}&x=1", "", good.query.upper()])),
            replace(good, path=f"{good.path}{dice.choice(['/', '/x', '%20'])}"),
            replace(good, method=dice.choice(["HEAD", "POST", "get"])),
            replace(good, peer="cd" * 32),
        ):
            if "x-memory-sig" not in bad.headers:
                continue  # unsigned: that is allowed for a GET
            await refused(world, bad)
            count += 1
    call = peer_call(
        world, good.headers, body=b"", method="GET", path=good.path, query_text=good.query
    )
    found = await authenticate_get(call)
    assert found is not None
    assert found.peer_id == "peer-b"
