"""Key pairs of agents and peers, in the key folder of a node.

Law: nothing is generated silently and nothing is overwritten without being told to. A private
key is 0600 in a folder of 0700 and never leaves it. The name of a file is made of an id so
that no id can lead out of the folder, and no two ids share a file, also where a file system
does not tell upper from lower case.
"""

import base64
import binascii
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.auth.places import make_private
from node.auth.public_keys import parse_public_key, public_pem
from node.errors import Refused, UsageError
from node.limits import Limits
from node.memory.problems import InvalidField
from node.memory.rules import agent_id
from transport.errors import TransportError
from transport.identity import NodeKey
from transport.secret_files import replace_file, sync_folder

FOLDER: Final = "identities"
_PRIVATE: Final = ".key"
_PUBLIC: Final = ".pub"
_PUBLIC_MODE: Final = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One id with its key, or keys.

    Attributes:
        agent_id: of an agent or a peer.
        public_key: 32 bytes, Ed25519.
        private: whether the private half is here as well.
    """

    agent_id: str
    public_key: bytes
    private: bool


def checked_id(text: str) -> str:
    """An id, when it is one.

    Raises:
        UsageError: it is none.
    """
    try:
        return agent_id("--agent-id", text, Limits())
    except InvalidField as error:
        raise UsageError(error.what) from error


def file_stem(ident: str) -> str:
    """The file name of an id, without its ending: base32 (RFC 4648) in lower case."""
    return base64.b32encode(ident.encode()).decode().rstrip("=").lower()


def _id_of(stem: str) -> str | None:
    padded = stem.upper() + "=" * (-len(stem) % 8)
    try:
        return base64.b32decode(padded).decode()
    except (binascii.Error, ValueError):
        return None


class Identities:
    """The key pairs in one folder.

    Args:
        folder: made (0700) with the first key.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def private_path(self, ident: str) -> Path:
        """Where the private key of an id is, or would be."""
        return self._folder / (file_stem(checked_id(ident)) + _PRIVATE)

    def public_path(self, ident: str) -> Path:
        """Where the public key of an id is, or would be."""
        return self._folder / (file_stem(checked_id(ident)) + _PUBLIC)

    def generate(self, ident: str, entropy: Callable[[int], bytes], *, force: bool) -> Identity:
        """Make a key pair.

        Raises:
            UsageError: no id.
            Refused: there is a key for this id, and no `force`.
            transport.errors.KeyFileError: a file cannot be written.
        """
        private, public = self.private_path(ident), self.public_path(ident)
        if not force and (private.exists() or public.exists()):
            raise self._taken(ident)
        self._make_folder()
        key = NodeKey.generate(entropy)
        key.save(private, force=force)
        replace_file(public, public_pem(key.public), mode=_PUBLIC_MODE)
        return Identity(agent_id=ident, public_key=key.public, private=True)

    def learn(self, ident: str, public_key: bytes, *, force: bool) -> Identity:
        """Keep the public key of an id whose private key is elsewhere.

        Raises:
            UsageError: no id.
            Refused: there is another key for this id, and no `force`; or its private key is
                here, and does not fit.
        """
        held = self.find(ident)
        if held is not None and held.public_key != public_key:
            if held.private:
                raise Refused(
                    f"the private key of {ident} is here and this is another key",
                    fix=f"If it is meant, first: mnemesh identity rm --agent-id {ident}",
                )
            if not force:
                raise self._taken(ident)
        self._make_folder()
        replace_file(self.public_path(ident), public_pem(public_key), mode=_PUBLIC_MODE)
        return Identity(
            agent_id=ident, public_key=public_key, private=held is not None and held.private
        )

    def find(self, ident: str) -> Identity | None:
        """The key of an id, if there is one.

        Raises:
            UsageError: no id.
            transport.errors.TransportError: a file holds no usable key.
        """
        public, private = self.public_path(ident), self.private_path(ident)
        held = private.exists()
        if public.exists():
            key = parse_public_key(public.read_text(encoding="utf-8", errors="replace"))
        elif held:  # power was lost between the two files; the private one is enough
            key = NodeKey.load(private).public
        else:
            return None
        return Identity(agent_id=ident, public_key=key, private=held)

    def key_of(self, ident: str) -> NodeKey:
        """The private key of an id, to sign with.

        Raises:
            UsageError: there is none.
            transport.errors.TransportError: it cannot be read, or others could.
        """
        path = self.private_path(ident)
        if not path.exists():
            raise UsageError(
                f"there is no private key for {ident}",
                why=f"{path} does not exist",
                fix=f"Make one: mnemesh identity generate --agent-id {ident}",
            )
        return NodeKey.load(path)

    def remove(self, ident: str) -> bool:
        """Delete the key, or keys, of an id; whether there was one."""
        gone = False
        for path in (self.private_path(ident), self.public_path(ident)):
            with suppress(FileNotFoundError):
                path.unlink()
                gone = True
        if gone:
            sync_folder(self._folder)
        return gone

    def listed(self) -> list[Identity]:
        """All keys of the folder, by id; files that are none are left out."""
        found: list[Identity] = []
        for stem in {path.stem for path in self._folder.glob("*.*")}:
            ident = _id_of(stem)
            with suppress(TransportError, UsageError):
                identity = self.find(ident or "")
                if identity is not None:
                    found.append(identity)
        return sorted(found, key=lambda identity: identity.agent_id)

    def _make_folder(self) -> None:
        make_private(self._folder)
        self._folder.chmod(0o700)

    def _taken(self, ident: str) -> Refused:
        return Refused(
            f"there is a key for {ident} already",
            why=f"{self.public_path(ident)} exists and a key is never overwritten silently",
            fix="Keep it, or repeat with --force; what the old key signed stays signed by it",
        )
