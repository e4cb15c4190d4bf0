"""From the body of a request to fields, and from a view back to them.

Law: only what was given is written, plus the tier and the end of a tier's life. A set is a field
for each element; the value is the element's place in the list. A null unsets.
"""

from collections.abc import Mapping
from typing import Any, Final

from crdt.fields import CHUNK, element_field, tier_rank
from crdt.op import Value
from node.contracts import Held
from node.limits import Limits
from node.memory.problems import AlreadyOver
from node.memory.record import ALIASES, GRANTS, TIER_DEFAULT
from node.memory.rules import CHECKS, life_ms

LIFE_MS: Final[Mapping[str, int | None]] = {
    "short": 6 * 3_600_000,
    "mid": 7 * 86_400_000,
    "long": None,
}
_STATED_SETS: Final = ("tags", ALIASES)
"""Sets that a request states as a list."""

_SETS: Final = (*_STATED_SETS, GRANTS)


def fields_of(values: Mapping[str, Value]) -> dict[str, Value]:
    """What a view shows as fields again, but for chunks, of which there may be several versions."""
    out: dict[str, Value] = {}
    for name, value in values.items():
        if name in _SETS:
            out.update(elements(name, value))
        elif name != CHUNK:
            out[name] = value
    return out


def written_of(
    body: Mapping[str, Any], limits: Limits
) -> tuple[dict[str, Value], list[tuple[str, list[str]]]]:
    """The fields of a new memory, and its sets; a null is as if it had not been given."""
    written: dict[str, Value] = {"tier": TIER_DEFAULT}
    sets: list[tuple[str, list[str]]] = []
    check_of = CHECKS.get
    for name, value in body.items():
        check = check_of(name)
        if check is None or value is None:
            continue
        taken = check(name, value, limits)
        if name in _STATED_SETS:
            sets.append((name, taken))
        else:
            written[name] = taken
    return written, sets


def elements(name: str, members: list[str]) -> dict[str, Value]:
    """A set's elements are fields of their own; the value is the place in the list."""
    return {element_field(name, member): place for place, member in enumerate(members)}


def speaks_of_life(body: Mapping[str, Any]) -> bool:
    """Whether a request says when a memory ends."""
    return "expires_at" in body or body.get("ttl_secs") is not None


def end_of_life(body: Mapping[str, Any], fields: dict[str, Value], now_ms: int) -> int | None:
    """When the request wants the memory to end; `expires_at` goes before `ttl_secs`."""
    life = body.get("ttl_secs")
    end = None if life is None else life_ms("ttl_secs", life, now_ms)
    given = fields.pop("expires_at", None)
    if given is not None and given <= now_ms:
        raise AlreadyOver
    return given if given is not None else end


def changes_of(held: Held, fields: dict[str, Value]) -> tuple[dict[str, Value], set[str]]:
    """What is to be written and what to be unset, so that a memory has these fields."""
    written: dict[str, Value] = {}
    removed: set[str] = set()
    current = held.view.values
    for name, value in fields.items():
        if name in _STATED_SETS:
            wanted = elements(name, value or [])
            removed.update(elements(name, current.get(name, [])).keys() - wanted.keys())
            written.update(wanted)
        elif value is not None:
            written[name] = value
        elif name in current:
            removed.add(name)
    if tier_rank(written.get("tier", TIER_DEFAULT)) < tier_rank(current.get("tier")):
        written.pop("tier", None)
    return written, removed


def rises(held: Held, written: dict[str, Value]) -> bool:
    """Whether the tier of a memory changes; it never goes down."""
    return "tier" in written and written["tier"] != held.view.values.get("tier", TIER_DEFAULT)


def risen_end(held: Held, written: dict[str, Value], now_ms: int) -> int | None:
    """The end of life that a higher tier brings to a memory that had one."""
    if not rises(held, written) or "expires_at" not in held.view.values:
        return None
    life = LIFE_MS[written["tier"]]
    return None if life is None else now_ms + life
