"""What a fetched page tells beside records: policies, held actions, and votes about them.

Law: these have no place in the order of arrival, so each is given whole whenever it is not
what the asker's token says it was given last; nothing is missed and nothing is told twice.
"""

import hashlib
from typing import Any, Final

import orjson

from crdt.hlc import millis
from node.contracts import Caller
from node.foreign.here import Here
from node.foreign.intake_governed import meta_of
from node.foreign.memory import PENDING
from node.governing.pending import Filters
from node.governing.policies import is_standing
from node.governing.waiting import WAITING
from node.memory.times import format_ms

NAMES: Final = ("namespace_meta", "pendings", "pending_decisions")
MARK_CHARS: Final = 8
_ITEMS_MAX: Final = 1000
_STRANGER: Final = Caller(agent="")


def extras(here: Here, peer: str) -> dict[str, list[dict[str, Any]]]:
    """All three lists as they are now.

    Args:
        here: this node.
        peer: who asks, as it is remembered; what it brought is not given back.
    """
    every = here.pendings.page(Filters(limit=_ITEMS_MAX), _STRANGER)
    told = [one for one in every if not _brought(here, peer, one["id"])]
    return {
        "namespace_meta": _meta(here),
        "pendings": [one for one in told if one["status"] == WAITING],
        "pending_decisions": [vote for one in told for vote in _votes(one)],
    }


def _meta(here: Here) -> list[dict[str, Any]]:
    policies = here.governing.state().policies
    return [
        {**meta_of(policy), "updated_at": format_ms(millis(policy.hlc))}
        for space in sorted(policies)
        for policy in sorted(policies[space], key=lambda one: (one.hlc, one.dot or ()))
        if is_standing(policy)
    ]


def _brought(here: Here, peer: str, ident: str) -> bool:
    return bool(peer) and here.memory.entry(peer, PENDING, ident).base is not None


def _votes(action: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": action["id"],
            "approved": vote["decision"] == "approve",
            "decider": vote["agent_id"],
            "decided_at": vote["at"],
        }
        for vote in action["approvals"]
    ]


def marks_of(lists: dict[str, list[dict[str, Any]]]) -> str:
    """Stands for the lists in a token: eight characters each."""
    return "".join(
        hashlib.sha256(orjson.dumps(lists[name], option=orjson.OPT_SORT_KEYS)).hexdigest()[
            :MARK_CHARS
        ]
        for name in NAMES
    )


def unlike(lists: dict[str, list[dict[str, Any]]], marks: str) -> dict[str, list[dict[str, Any]]]:
    """The lists, those empty that the asker has been given as they are."""
    now = marks_of(lists)
    out: dict[str, list[dict[str, Any]]] = {}
    for place, name in enumerate(NAMES):
        at = slice(place * MARK_CHARS, (place + 1) * MARK_CHARS)
        out[name] = [] if marks[at] == now[at] else lists[name]
    return out
