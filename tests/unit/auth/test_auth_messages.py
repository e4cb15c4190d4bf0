"""REST peers: certificate, enrolled key, signature, sender, nonce, in this order."""

from typing import Any

import orjson
import pytest

from node.auth.enrolments import Enrolled
from node.auth.messages import authenticate_get, authenticate_push, sign_get, sign_push
from node.auth.refusals import AuthRefused
from tests.unit.auth.rig import ALICE, CERT, PEER, PUSH_BODY, World, peer_call
from transport.identity import NodeKey

OTHER_CERT = "cd" * 32
PATH = "/api/v1/sync/since"
BODY = PUSH_BODY


@pytest.fixture
def enrolled(world: World) -> World:
    peer = Enrolled(peer_id="peer-b", public_key=PEER.public, fingerprint=CERT)
    other = Enrolled(peer_id="peer-c", public_key=ALICE.public, fingerprint=OTHER_CERT)
    world.enrolments = world.enrolments.with_peer(peer).with_peer(other)
    return world


def pushed(key: NodeKey = PEER, nonce: str = "n", body: bytes = BODY) -> dict[str, str]:
    return {
        "x-peer-id": "peer-b",
        "x-memory-sig": sign_push(key, body, nonce),
        "x-memory-nonce": nonce,
    }


async def refusal(world: World, headers: dict[str, str], **more: Any) -> tuple[int, str]:
    with pytest.raises(AuthRefused) as caught:
        await authenticate_push(peer_call(world, headers, **more))
    return caught.value.http_status, caught.value.code


async def test_a_good_push_is_known_by_its_peer_once(enrolled: World) -> None:
    peer = await authenticate_push(peer_call(enrolled, pushed()))
    assert (peer.peer_id, peer.fingerprint) == ("peer-b", CERT)
    assert await refusal(enrolled, pushed()) == (401, "x_memory_nonce_replay")
    assert (await authenticate_push(peer_call(enrolled, pushed(nonce="m")))).peer_id == "peer-b"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"x-memory-sig": ""}, "x_memory_sig_missing"),
        ({"x-memory-sig": "nonsense"}, "x_memory_sig_malformed"),
        ({"x-memory-sig": "ed25519=AAAA"}, "x_memory_sig_malformed"),
        ({"x-memory-nonce": ""}, "x_memory_nonce_missing"),
        ({"x-memory-nonce": "n" * 129}, "x_memory_nonce_missing"),
        ({"x-peer-id": ""}, "peer_not_enrolled"),
        ({"x-peer-id": "peer-x"}, "peer_not_enrolled"),
        ({"x-peer-id": "peer-c"}, "peer_not_enrolled"),
        ({"x-memory-nonce": "other"}, "x_memory_sig_bad_signature"),
        (pushed(ALICE), "x_memory_sig_bad_signature"),
    ],
)
async def test_each_fault_has_its_code_and_burns_no_nonce(
    enrolled: World, change: dict[str, str], error: str
) -> None:
    assert await refusal(enrolled, pushed() | change) == (401, error)
    await authenticate_push(peer_call(enrolled, pushed()))


async def test_an_enrolment_holds_for_its_certificate_alone(enrolled: World) -> None:
    for cert in (OTHER_CERT, None):
        assert await refusal(enrolled, pushed(), peer=cert) == (401, "peer_not_enrolled")
    enrolled.enrolments = enrolled.enrolments.without("peer-b")
    assert await refusal(enrolled, pushed()) == (401, "peer_not_enrolled")


@pytest.mark.parametrize("sender", ["peer-c", "", 7, ["peer-b"]])
async def test_the_sender_in_the_body_is_the_peer(enrolled: World, sender: object) -> None:
    body = orjson.dumps({"sender_agent_id": sender})
    headers = pushed(body=body)
    assert await refusal(enrolled, headers, body=body) == (403, "sender_agent_id_mismatch")
    for good in (b"{}", b'{"sender_agent_id":null}'):
        nonce = f"n{len(good)}"
        assert await authenticate_push(
            peer_call(enrolled, pushed(nonce=nonce, body=good), body=good)
        )


async def test_without_signatures_demanded_the_certificate_is_enough(enrolled: World) -> None:
    enrolled.demands_signature = False
    headers = {"x-memory-nonce": "n1"}
    assert (await authenticate_push(peer_call(enrolled, headers))).peer_id == "peer-b"
    assert await refusal(enrolled, headers) == (401, "x_memory_nonce_replay")
    assert await refusal(enrolled, {}) == (401, "x_memory_nonce_missing")
    assert await refusal(enrolled, {"x-memory-nonce": "n2", "x-peer-id": "peer-c"}) == (
        401,
        "peer_not_enrolled",
    )
    # One that is sent all the same must hold.
    assert await refusal(enrolled, pushed(ALICE)) == (401, "x_memory_sig_bad_signature")
    enrolled.demands_nonce = False
    assert (await authenticate_push(peer_call(enrolled, {}))).peer_id == "peer-b"
    body = orjson.dumps({"sender_agent_id": "peer-c"})
    assert await refusal(enrolled, {}, body=body) == (403, "sender_agent_id_mismatch")


async def test_without_nonces_demanded_a_signature_covers_an_empty_one(enrolled: World) -> None:
    enrolled.demands_nonce = False
    headers = pushed(nonce="") | {"x-memory-nonce": ""}
    assert await authenticate_push(peer_call(enrolled, headers))
    assert await authenticate_push(peer_call(enrolled, headers))
    assert await refusal(enrolled, {"x-peer-id": "peer-b"}) == (401, "x_memory_sig_missing")


async def test_a_get_may_be_signed_and_then_must_hold(enrolled: World) -> None:
    get = {"method": "GET", "path": PATH, "query_text": "limit=5", "body": b""}
    headers = {"x-peer-id": "peer-b", "x-memory-sig": sign_get(PEER, "GET", PATH, "limit=5")}
    for _ in range(2):
        found = await authenticate_get(peer_call(enrolled, headers, **get))
        assert found is not None
        assert found.peer_id == "peer-b"
    for change in (
        {"query_text": "limit=6"},
        {"path": f"{PATH}/x"},
        {"method": "HEAD"},
        {"peer": OTHER_CERT},
    ):
        with pytest.raises(AuthRefused):
            await authenticate_get(peer_call(enrolled, headers, **{**get, **change}))
    with pytest.raises(AuthRefused) as caught:
        await authenticate_get(peer_call(enrolled, headers | {"x-memory-sig": "x"}, **get))
    assert caught.value.code == "x_memory_sig_malformed"


async def test_an_unsigned_get_is_known_by_its_certificate(enrolled: World) -> None:
    get = {"method": "GET", "path": PATH, "body": b""}
    found = await authenticate_get(peer_call(enrolled, {}, **get))
    assert found is not None
    assert found.peer_id == "peer-b"
    assert await authenticate_get(peer_call(enrolled, {}, **get, peer="ef" * 32)) is None
    assert await authenticate_get(peer_call(enrolled, {"x-peer-id": "peer-x"}, **get)) is None
