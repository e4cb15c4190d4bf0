"""What a backup says of itself, signed by the node that it was made of.

Law: a manifest names every file of its backup with size and hash, and what the store in it
must add up to; it is signed as one text by the key of the node (Ed25519, RFC 8032), under a
mark that nothing else is signed with. A manifest in which one bit is another is none.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar

from node.errors import IntegrityError
from transport.errors import PublicKeyError
from transport.identity import check_public_key, node_id_of, verify

T = TypeVar("T")

MANIFEST: Final = "manifest.json"
DATA: Final = "data.mdb"
"""The copied store among the files of a backup."""
FORMAT: Final = "mnemesh-backup-1"
MANIFEST_BYTES_MAX: Final = 4 << 20
_MARK: Final = b"mnemesh backup manifest 1\0"
_NUMBER_MAX: Final = 2**63
_PARTS: Final = {"backup", "public_key", "signature"}
RUNNING: Final = "running"
STOPPED: Final = "stopped"


class BadBackup(IntegrityError):  # noqa: N818 - it says what it is, as its neighbours do
    """A backup is not what was made; it is never restored."""

    code = "bad_backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFact:
    """One file of a backup: path below its folder, size, SHA-256 in lowercase hex."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a copied store holds, found by reading all of it.

    Attributes:
        schema: version of its tables.
        store_id: names the store.
        cluster: name of the mesh; empty before there is one.
        genesis: hash of its founding, hex; empty before there is one.
        clock: {actor: last operation}, without the private lane.
        private_operations: in the private lane.
        digest: 32 hex digits; of the state without the private lane.
        records: that are not deleted, private ones too.
        rows: {table: rows}.
    """

    schema: int
    store_id: str
    cluster: str
    genesis: str
    clock: Mapping[str, int]
    private_operations: int
    digest: str
    records: int
    rows: Mapping[str, int]

    @property
    def operations(self) -> int:
        """How many operations the clock counts."""
        return sum(self.clock.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A backup in words.

    Attributes:
        id: name of its folder.
        created_ms: when the copy was made, milliseconds since the epoch; just after the one before
            of its node, where a clock went back.
        created_at: the same for people, RFC 3339.
        version: of the program that made it.
        node_id: of the node it was made of, hex.
        name: what people call that node; empty when that was not known.
        source: whether the node ran (`running`) or not (`stopped`).
        data_dir: where its data lay.
        contents: of the store.
        files: all but the manifest, in order of their paths.
    """

    id: str
    created_ms: int
    created_at: str
    version: str
    node_id: str
    name: str
    source: str
    data_dir: str
    contents: Contents
    files: tuple[FileFact, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.bytes for file in self.files)

    @property
    def data(self) -> FileFact:
        """The copied store."""
        return next(file for file in self.files if file.path == DATA)


def signed(manifest: Manifest, public: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """A manifest as its file holds it."""
    body = {"format": FORMAT, **asdict(manifest)}
    whole = {
        "backup": body,
        "public_key": public.hex(),
        "signature": sign(_MARK + _canonical(body)).hex(),
    }
    return (json.dumps(whole, indent=1, sort_keys=True) + "\n").encode()


def read_manifest(data: bytes) -> Manifest:
    """Read a manifest and check its signature.

    Whether the node is one that the reader knows is for the reader to ask.

    Raises:
        BadBackup: it is no manifest, or it is not as it was signed.
    """
    if len(data) > MANIFEST_BYTES_MAX:
        raise _bad("it is too large")
    try:
        whole = json.loads(data)
    except ValueError as error:
        raise _bad("it is no JSON") from error
    except RecursionError as error:
        raise _bad("it is nested too deep") from error
    if not isinstance(whole, dict) or whole.keys() != _PARTS or not _is_canonical(whole, data):
        raise _bad("it was not written by this program")
    body = whole["backup"]
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise _bad("its format is another one")
    _check_signature(body, whole["public_key"], whole["signature"])
    return _manifest({name: value for name, value in body.items() if name != "format"})


def _is_canonical(whole: Mapping[str, Any], data: bytes) -> bool:
    """One text for one meaning: a flipped space is a flip, too."""
    return (json.dumps(whole, indent=1, sort_keys=True) + "\n").encode() == data


def _check_signature(body: Mapping[str, Any], public_key: object, signature: object) -> None:
    try:
        key, mark = bytes.fromhex(str(public_key)), bytes.fromhex(str(signature))
        check_public_key(key)
    except (ValueError, PublicKeyError) as error:
        raise _bad("its key or its signature cannot be read") from error
    if (key.hex(), mark.hex()) != (public_key, signature):
        raise _bad("its key or its signature is not written as this program does")
    if node_id_of(key).hex() != body.get("node_id"):
        raise _bad("it was signed by another node than it names")
    if not verify(key, _MARK + _canonical(body), mark):
        raise _bad("its signature does not hold")


def _manifest(body: dict[str, Any]) -> Manifest:
    """What was signed, typed; a signer that broke the form is refused like a stranger."""
    try:
        contents = _typed(Contents, body.pop("contents"))
        files = tuple(_typed(FileFact, one) for one in body.pop("files"))
        manifest = _typed(Manifest, {**body, "contents": contents, "files": files})
    except (TypeError, KeyError, AttributeError) as error:
        raise _bad("it lacks what a manifest says") from error
    paths = [file.path for file in manifest.files]
    if paths != sorted(set(paths)) or DATA not in paths or not all(map(_is_below, paths)):
        raise _bad("it names files that no backup has")
    return manifest


def _typed(kind: type[T], row: object) -> T:
    wanted = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # both are dataclasses
    if not isinstance(row, dict) or row.keys() != wanted:
        raise TypeError(f"{kind.__name__} has other parts")
    for field in fields(kind):  # type: ignore[arg-type]  # as above
        if not _fits(field.type, row[field.name]):
            raise TypeError(f"{kind.__name__} has another {field.name}")
    return kind(**row)


def _fits(wanted: object, value: object) -> bool:
    """Whether a value is of its kind; anybody may sign anything under a key of his own."""
    if wanted is int:
        return type(value) is int and 0 <= value < _NUMBER_MAX
    if wanted is str:
        return type(value) is str
    if wanted == Mapping[str, int]:
        return isinstance(value, dict) and all(_fits(int, one) for one in value.values())
    return True  # parts that were made by this program, typed


def _is_below(path: str) -> bool:
    """Whether a path stays below the folder of its backup."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and path != MANIFEST


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def _bad(why: str) -> BadBackup:
    return BadBackup(f"its {MANIFEST} does not hold", why=why, fix="Use another backup")


def facts_of(manifest: Manifest) -> dict[str, Any]:
    """What commands tell of a backup, as plain data."""
    contents = manifest.contents
    return {
        "id": manifest.id,
        "created_at": manifest.created_at,
        "node_id": manifest.node_id,
        "name": manifest.name,
        "cluster": contents.cluster,
        "source": manifest.source,
        "version": manifest.version,
        "schema": contents.schema,
        "store_id": contents.store_id,
        "bytes": manifest.size_bytes,
        "files": len(manifest.files) + 1,
        "records": contents.records,
        "operations": contents.operations,
        "digest": contents.digest,
    }
