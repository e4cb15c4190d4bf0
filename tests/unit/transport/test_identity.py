import hashlib
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from transport.errors import KeyFileError, LooseModeError, PublicKeyError, SmallOrderKeyError
from transport.identity import NodeKey, check_public_key, node_id_of, verify

SEED = bytes(range(32))

# RFC 8032 section 7.1, test 2.
RFC_SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
RFC_PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
RFC_SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_signatures_are_those_of_the_rfc() -> None:
    key = NodeKey(RFC_SEED)
    assert key.public == RFC_PUBLIC
    assert key.sign(b"\x72") == RFC_SIGNATURE
    assert verify(RFC_PUBLIC, b"\x72", RFC_SIGNATURE)


def test_any_change_breaks_a_signature() -> None:
    key = NodeKey(SEED)
    signature = key.sign(b"message")
    assert verify(key.public, b"message", signature)
    assert not verify(key.public, b"messagf", signature)
    assert not verify(NodeKey(bytes(32)).public, b"message", signature)
    for position in range(64):
        broken = bytearray(signature)
        broken[position] ^= 1
        assert not verify(key.public, b"message", bytes(broken))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_odd_lengths_are_no_signature_and_no_crash(length: int) -> None:
    key = NodeKey(SEED)
    assert not verify(bytes(length), b"m", key.sign(b"m"))
    assert not verify(key.public, b"m", bytes(length))
    assert not verify(key.public, b"m", key.sign(b"m") + b"\x00")


def test_the_border_between_signature_and_message_is_fixed() -> None:
    key = NodeKey(SEED)
    signature = key.sign(b"message")
    assert not verify(key.public, signature[63:] + b"message", signature[:63])
    assert not verify(key.public, b"essage", signature + b"m")
    assert not verify(key.public + b"\x00", b"message", signature)


def test_the_id_is_the_hash_of_the_key() -> None:
    key = NodeKey(SEED)
    assert key.node_id == node_id_of(key.public) == hashlib.sha256(key.public).digest()


def test_a_key_comes_from_the_given_entropy_alone() -> None:
    asked: list[int] = []

    def entropy(count: int) -> bytes:
        asked.append(count)
        return SEED

    assert NodeKey.generate(entropy).public == NodeKey(SEED).public
    assert asked == [32]


def test_a_saved_key_is_private_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    NodeKey(SEED).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert NodeKey.load(path).node_id == NodeKey(SEED).node_id


def test_an_existing_key_is_overwritten_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    NodeKey(SEED).save(path)
    with pytest.raises(KeyFileError, match="--force"):
        NodeKey(bytes(32)).save(path)
    assert NodeKey.load(path).public == NodeKey(SEED).public
    NodeKey(bytes(32)).save(path, force=True)
    assert NodeKey.load(path).public == NodeKey(bytes(32)).public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "node.key"
    NodeKey(SEED).save(path)
    path.chmod(mode)
    with pytest.raises(LooseModeError, match=f"mode {mode:04o}.*chmod 600"):
        NodeKey.load(path)


def pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        b"\xff" * 100,
        pem(ec.derive_private_key(7, ec.SECP256R1())),
        pem(Ed25519PrivateKey.from_private_bytes(SEED), b"secret"),
    ],
    ids=["empty", "text", "binary", "p256", "encrypted"],
)
def test_what_is_no_node_key_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "node.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=str(path)):
        NodeKey.load(path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="No such file"):
        NodeKey.load(tmp_path / "absent")
    with pytest.raises(KeyFileError, match="cannot write"):
        NodeKey(SEED).save(tmp_path / "absent" / "node.key")


def test_the_repr_shows_no_secret() -> None:
    assert SEED.hex() not in repr(NodeKey(SEED))


# The encodings of the eight points of small order, and two that are not canonical.
SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_keys_that_verify_anything_are_refused(key: str) -> None:
    with pytest.raises(SmallOrderKeyError):
        check_public_key(bytes.fromhex(key))


def test_honest_keys_pass_the_check() -> None:
    for number in range(20):
        check_public_key(NodeKey(bytes([number]) * 32).public)


@pytest.mark.parametrize("key", [b"", b"\x00" * 31, b"\x01" * 33])
def test_keys_of_the_wrong_length_are_refused(key: bytes) -> None:
    with pytest.raises(PublicKeyError, match="32 bytes"):
        check_public_key(key)
