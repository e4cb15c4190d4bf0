"""API keys that an operator gives out: each with a role, an agent and namespaces.

Law: the key itself is shown once and never kept; what is kept is its SHA-256, which is as
good as the key is random (256 bits). A key only ever narrows what its agent may do. Revoked
and expired keys stay in the file, so that giving up the last one does not open the door.
"""

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from crdt.roles import READER, SYSTEM_ADMIN, TEAM_ADMIN, WRITER
from node.errors import Refused, UsageError
from node.limits import Limits
from node.memory.problems import RequestError
from node.memory.rules import agent_id, namespace

METRICS: Final = "metrics"
GRADES: Final = (METRICS, READER, WRITER, TEAM_ADMIN, SYSTEM_ADMIN)
"""Roles of keys, from the weakest to the strongest."""

_VERSION: Final = 1
_KEY_BYTES: Final = 32
_KEY_CHARS_MIN: Final = 43
_ID_BYTES: Final = 4
_NAME_CHARS_MAX: Final = 64
_KEYS_MAX: Final = 10_000
_DIGEST_CHARS: Final = 64
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyGrant:
    """What one key admits to.

    Attributes:
        id: names the key for ever.
        name: what people call it.
        role: one of `GRADES`; None for the node's own key: no limit at the door.
        agent_id: the agent that the key speaks for; empty for any.
        namespaces: subtrees it is limited to; empty for no limit.
        digest: SHA-256 of the key, hex.
        created_at: milliseconds since the epoch.
        expires_at: the same; None for never.
        revoked_at: the same; None while it is in force.
    """

    id: str
    name: str
    role: str | None
    agent_id: str = ""
    namespaces: tuple[str, ...] = ()
    digest: str = ""
    created_at: int = 0
    expires_at: int | None = None
    revoked_at: int | None = None

    def in_force(self, now_ms: int) -> bool:
        """Whether the key admits anybody at that moment."""
        return self.revoked_at is None and (self.expires_at is None or now_ms < self.expires_at)

    def admits(self, role: str) -> bool:
        """Whether the key is at least of a role."""
        return self.role is None or GRADES.index(self.role) >= GRADES.index(role)

    def state(self, now_ms: int) -> str:
        """In one word: active, revoked or expired."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if self.in_force(now_ms) else "expired"


UNLIMITED: Final = KeyGrant(id="", name="", role=None)
"""Of the node's own key, and of everybody where no key is configured."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys that were given out, by digest.

    `lasting` says that there were keys before, of which none is left in the file.
    """

    grants: Mapping[bytes, KeyGrant] = field(default_factory=dict)
    lasting: bool = False

    @property
    def demanded(self) -> bool:
        """Whether a key was ever given out, so that one has to be shown."""
        return self.lasting or bool(self.grants)

    def find(self, digest: bytes, now_ms: int) -> KeyGrant | None:
        """What the key with this SHA-256 admits to; None when it is unknown or over."""
        # A digest tells nothing about its key, so looking it up leaks nothing about one.
        grant = self.grants.get(digest)
        return grant if grant is not None and grant.in_force(now_ms) else None

    def named(self, which: str) -> KeyGrant:
        """The key with an id, else the one in force, else the only one, with a name.

        Raises:
            UsageError: there is none, or several.
        """
        held = list(self.grants.values())
        found = [key for key in held if key.id == which]
        found = found or [key for key in held if key.name == which and key.revoked_at is None]
        found = found or [key for key in held if key.name == which]
        if len(found) != 1:
            raise UsageError(
                f"{which!r} names {'several keys' if found else 'no key'}",
                fix="Give the id that mnemesh key list shows",
            )
        return found[0]

    def with_key(self, grant: KeyGrant) -> "KeyRing":
        """These and one more; it takes the place of one with its digest."""
        return KeyRing({**self.grants, bytes.fromhex(grant.digest): grant})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyWish:
    """What an operator asks of a new key."""

    role: str
    agent_id: str = ""
    namespaces: tuple[str, ...] = ()
    expires_days: float | None = None
    name: str = ""


def key_digest(key: str) -> bytes:
    """What is kept and compared of an API key."""
    return hashlib.sha256(key.strip().encode(errors="surrogateescape")).digest()


def make_key(
    ring: KeyRing,
    wish: KeyWish,
    *,
    now_ms: int,
    entropy: Callable[[int], bytes],
    drawn: str | None = None,
) -> tuple[str, KeyGrant]:
    """Draw a key; returns its text, which is kept nowhere, and what it admits to.

    Args:
        ring: the keys that were given out.
        wish: what it shall admit to.
        now_ms: wall clock.
        entropy: gives so many random bytes.
        drawn: the text of a key that another node drew, to be good here too.

    Raises:
        UsageError: the wish cannot be met; names the option.
        Refused: another key in force has the name, or the key is good here already.
    """
    _check(wish)
    if drawn is not None:
        _check_drawn(ring, drawn)
    ident = entropy(_ID_BYTES).hex()
    name = wish.name or ident
    if any(key.name == name and key.revoked_at is None for key in ring.grants.values()):
        raise Refused(
            f"there is a key named {name} already",
            fix=f"Choose another --name, or first: mnemesh key revoke {name}",
        )
    if len(ring.grants) >= _KEYS_MAX:
        raise Refused(f"there are {_KEYS_MAX} keys already, revoked ones included")
    text = drawn or base64.urlsafe_b64encode(entropy(_KEY_BYTES)).decode().rstrip("=")
    days = wish.expires_days
    grant = KeyGrant(
        id=ident,
        name=name,
        role=wish.role,
        agent_id=wish.agent_id,
        namespaces=wish.namespaces,
        digest=key_digest(text).hex(),
        created_at=now_ms,
        expires_at=None if days is None else now_ms + round(days * _DAY_MS),
    )
    return text, grant


def _check_drawn(ring: KeyRing, text: str) -> None:
    if len(text) < _KEY_CHARS_MIN or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(
            "--from holds no key", why="expected one line, as mnemesh key create --out wrote it"
        )
    known = ring.grants.get(key_digest(text))
    if known is not None:
        raise Refused(
            f"the key was given out here already, as {known.name}",
            fix="Give out a fresh one, and revoke this one if it is to end",
        )


def _check(wish: KeyWish) -> None:
    if wish.role not in GRADES:
        raise UsageError(f"--role is {wish.role!r}", why=f"expected one of {', '.join(GRADES)}")
    name = wish.name
    if len(name) > _NAME_CHARS_MAX or not name.isprintable() or name != name.strip():
        raise UsageError("--name cannot be used", why="expected 1 to 64 printable characters")
    if wish.expires_days is not None and not 0 < wish.expires_days <= dt.timedelta.max.days:
        raise UsageError(f"--expires-days is {wish.expires_days}", why="expected more than 0")
    try:
        if wish.agent_id:
            agent_id("--agent-id", wish.agent_id, Limits())
        for space in wish.namespaces:
            namespace("--namespace", space, Limits())
    except RequestError as error:
        raise UsageError(error.what) from error


def revoke(ring: KeyRing, which: str, now_ms: int) -> tuple[KeyRing, KeyGrant]:
    """The ring without a key, which stays listed; and the key.

    Raises:
        UsageError: there is no such key, or several.
    """
    grant = ring.named(which)
    if grant.revoked_at is not None:
        return ring, grant
    over = replace(grant, revoked_at=now_ms)
    return ring.with_key(over), over


def parse_keys(data: bytes) -> KeyRing:
    """Read the text of the file; empty text is no key.

    Raises:
        ValueError: it is not such a file; nothing of it may be believed then.
    """
    if not data.strip():
        return KeyRing()
    read = json.loads(data)
    if not isinstance(read, dict) or read.get("version") != _VERSION:
        raise ValueError("expected an object with version 1")
    rows = read.get("keys")
    if not isinstance(rows, list):
        raise ValueError("keys: expected a list")  # noqa: TRY004 - what a file holds is a value
    return KeyRing({bytes.fromhex(grant.digest): grant for grant in _grants(rows)})


def _grants(rows: Iterable[Any]) -> Iterable[KeyGrant]:
    for place, row in enumerate(rows):
        try:
            grant = KeyGrant(**{**row, "namespaces": tuple(row.get("namespaces", ()))})
            _check(KeyWish(role=str(grant.role), agent_id=grant.agent_id))
            bytes.fromhex(grant.digest)
        except Exception as error:
            raise ValueError(f"keys[{place}]: {error}") from error
        if len(grant.digest) != _DIGEST_CHARS:
            raise ValueError(f"keys[{place}]: digest: expected {_DIGEST_CHARS} hex digits")
        yield grant


def format_keys(ring: KeyRing) -> bytes:
    """The text of the file."""
    rows = [asdict(grant) for grant in ring.grants.values()]
    return (json.dumps({"version": _VERSION, "keys": rows}, indent=1) + "\n").encode()
