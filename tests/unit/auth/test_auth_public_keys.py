import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from node.auth.public_keys import parse_public_key, public_pem
from transport.errors import PublicKeyError, SmallOrderKeyError
from transport.identity import NodeKey

KEY = NodeKey(bytes(range(32))).public
SMALL_ORDER = (
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
)


@pytest.mark.parametrize(
    "text",
    [
        KEY.hex(),
        KEY.hex().upper(),
        base64.b64encode(KEY).decode(),
        base64.b64encode(KEY).decode().rstrip("="),
        base64.urlsafe_b64encode(KEY).decode(),
        public_pem(KEY).decode(),
        f"\n {public_pem(KEY).decode()} \n",
    ],
)
def test_every_usual_spelling_gives_the_same_key(text: str) -> None:
    assert parse_public_key(text) == KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "key",
        None,
        7,
        KEY,
        KEY.hex()[:-2],
        KEY.hex() + "00",
        "A" * 5000,
        "-----BEGIN X-----",
        "=" * 44,
    ],
)
def test_what_is_no_key_is_refused(text: object) -> None:
    with pytest.raises(PublicKeyError):
        parse_public_key(text)


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_keys_that_prove_nothing_are_refused_in_every_spelling(point: bytes) -> None:
    for text in (point.hex(), base64.b64encode(point).decode()):
        with pytest.raises(SmallOrderKeyError):
            parse_public_key(text)


def test_private_keys_and_keys_of_another_kind_are_refused_and_not_quoted() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    with pytest.raises(PublicKeyError) as caught:
        parse_public_key(private.decode())
    assert private.decode().splitlines()[1] not in str(caught.value)
    other = X25519PrivateKey.generate().public_key()
    with pytest.raises(PublicKeyError, match="not Ed25519"):
        parse_public_key(
            other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        )
