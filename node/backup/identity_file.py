"""The key folder of a node as one encrypted file.

Law: what is written can be read by whoever knows the passphrase and by nobody else (Argon2id,
RFC 9106, then XSalsa20-Poly1305 as in NaCl's secretbox); a wrong passphrase and a damaged file
are told, and nothing is written then. The file is 0600 from its first byte on.

    mark (20 bytes) | ops, mem (8 bytes each, big endian) | salt (16) | nonce (24) | box
"""

import base64
import binascii
import json
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from node.errors import IntegrityError, Refused, UsageError
from transport.secret_files import replace_file, sync_folder

_MARK: Final = b"mnemesh identity 1\n\0"
_SALT_BYTES: Final = pwhash.argon2id.SALTBYTES
_NUMBER_BYTES: Final = 8
_HEAD_BYTES: Final = len(_MARK) + 2 * _NUMBER_BYTES + _SALT_BYTES
_OPS_MAX: Final = 64
_MEM_BYTES_MAX: Final = 1 << 30
_FILE_BYTES_MAX: Final = 64 << 20
NAMES: Final = (
    "node.key",
    "tls.key",
    "tls.crt",
    "allowlist",
    "api_key",
    "api_keys.json",
    "enrolled_peers.json",
)
"""Files of a key folder."""
FOLDERS: Final = ("identities", "peers")
PASSPHRASE_CHARS_MIN: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """How dear one try of a passphrase is: rounds, and bytes of memory."""

    ops: int = pwhash.argon2id.OPSLIMIT_MODERATE
    mem_bytes: int = pwhash.argon2id.MEMLIMIT_MODERATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One file of a key folder: its mode and what is in it."""

    mode: int
    data: bytes


Keys = Mapping[str, Kept]
"""{path below the key folder: file}"""


def gather(key_dir: Path) -> dict[str, Kept]:
    """The files of a key folder that make up the identity of a node.

    Raises:
        UsageError: there is no node key, or a file cannot be read.
    """
    if not (key_dir / NAMES[0]).is_file():
        raise UsageError(f"there is no node key in {key_dir}", fix="Make one with mnemesh init")
    try:
        return {
            path.relative_to(key_dir).as_posix(): Kept(
                mode=stat.S_IMODE(path.stat().st_mode), data=path.read_bytes()
            )
            for path in _files(key_dir)
        }
    except OSError as error:
        raise UsageError(
            f"cannot read {error.filename}",
            why=error.strerror or str(error),
            fix="Run this as the user that runs the node",
        ) from error


def _files(key_dir: Path) -> Iterator[Path]:
    yield from (key_dir / name for name in NAMES if (key_dir / name).is_file())
    for folder in FOLDERS:
        yield from sorted(path for path in (key_dir / folder).glob("*") if path.is_file())


def sealed(
    keys: Keys, passphrase: bytes, entropy: Callable[[int], bytes], cost: Cost | None = None
) -> bytes:
    """Files as one encrypted text.

    Args:
        keys: what to keep.
        passphrase: at least 12 bytes.
        entropy: gives that many random bytes.
        cost: of one try.

    Raises:
        UsageError: the passphrase is too short.
    """
    if len(passphrase) < PASSPHRASE_CHARS_MIN:
        raise UsageError(
            f"the passphrase is shorter than {PASSPHRASE_CHARS_MIN} characters",
            fix="Take several words that nobody would put together",
        )
    cost, salt = cost or Cost(), entropy(_SALT_BYTES)
    rows = {name: [kept.mode, base64.b64encode(kept.data).decode()] for name, kept in keys.items()}
    box = SecretBox(_key(passphrase, salt, cost))
    numbers = cost.ops.to_bytes(_NUMBER_BYTES, "big") + cost.mem_bytes.to_bytes(
        _NUMBER_BYTES, "big"
    )
    locked = box.encrypt(json.dumps(rows).encode(), entropy(SecretBox.NONCE_SIZE))
    return _MARK + numbers + salt + bytes(locked)


def opened(data: bytes, passphrase: bytes) -> dict[str, Kept]:
    """The files in an encrypted text.

    Raises:
        IntegrityError: it is no such text, it is damaged, or the passphrase is another one.
    """
    if not data.startswith(_MARK) or len(data) < _HEAD_BYTES or len(data) > _FILE_BYTES_MAX:
        raise IntegrityError(
            "this is no file that mnemesh identity backup has written",
            fix="Name the file that it wrote",
        )
    at = len(_MARK)
    ops = int.from_bytes(data[at : at + _NUMBER_BYTES], "big")
    mem = int.from_bytes(data[at + _NUMBER_BYTES : at + 2 * _NUMBER_BYTES], "big")
    salt = data[at + 2 * _NUMBER_BYTES : _HEAD_BYTES]
    if not (pwhash.argon2id.OPSLIMIT_MIN <= ops <= _OPS_MAX) or not (
        pwhash.argon2id.MEMLIMIT_MIN <= mem <= _MEM_BYTES_MAX
    ):
        raise _unreadable()
    try:
        plain = SecretBox(_key(passphrase, salt, Cost(ops=ops, mem_bytes=mem))).decrypt(
            data[_HEAD_BYTES:]
        )
        return {
            name: Kept(mode=mode, data=base64.b64decode(text, validate=True))
            for name, (mode, text) in json.loads(plain).items()
        }
    except (CryptoError, ValueError, binascii.Error) as error:
        raise _unreadable() from error


def _key(passphrase: bytes, salt: bytes, cost: Cost) -> bytes:
    return pwhash.argon2id.kdf(SecretBox.KEY_SIZE, passphrase, salt, cost.ops, cost.mem_bytes)


def _unreadable() -> IntegrityError:
    return IntegrityError(
        "the passphrase is not the one it was written with, or the file is damaged",
        why="it does not open; nothing was written",
        fix="Look at --passphrase-file: the line break at its end does not count",
    )


def check_free(keys: Keys, key_dir: Path, *, force: bool) -> None:
    """Make sure that no other key is written over.

    Raises:
        Refused: one would be, and `force` was not given.
    """
    if force:
        return
    for name, kept in keys.items():
        path = key_dir / name
        if path.exists() and path.read_bytes() != kept.data:
            raise Refused(
                f"{path} is there already, and it is another one",
                why="a key is never overwritten silently",
                fix="Move it aside, or repeat with --force",
            )


def put(keys: Keys, key_dir: Path) -> list[Path]:
    """Write files into a key folder; the node's own key comes last.

    Raises:
        IntegrityError: a name leads elsewhere.
        OSError: the folder cannot be written to.
    """
    for name in keys:
        parts = PurePosixPath(name).parts
        if name not in NAMES and not (len(parts) == 2 and parts[0] in FOLDERS):  # noqa: PLR2004 - folder, file
            raise IntegrityError(f"the file names {name!r}, which is no part of a key folder")
    out = []
    for name in sorted(keys, key=lambda name: name == NAMES[0]):
        path = key_dir / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, keys[name].data, mode=keys[name].mode & 0o755)
        out.append(path)
    sync_folder(key_dir)
    return out
