"""Loading of memories by family, and the choice of a family for an intent.

Law: the family of a memory is what its `metadata.family` says. The search goes over the newest
memories that the caller sees, so many and no more; the answer says how many were looked at. An
intent is matched by the words it shares with the description of a family, no model involved;
where none fits, recall alone answers.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from node.mcp.api import PREFIX, Api
from node.mcp.tool import Arguments, Outcome, told

K_DEFAULT: Final = 20
_LOOKED_AT_MAX: Final = 4000
_PAGE: Final = 1000
_RECALL_MAX: Final = 50

_WORDS: Final[Mapping[str, str]] = {
    "core": "store recall remember search find list read get fact note preference context",
    "lifecycle": "update change edit correct delete remove forget erase expire promote cleanup "
    "stale old retention",
    "graph": "link relation relationship connect graph entity entities path timeline taxonomy "
    "namespace alias knowledge depends dependency",
    "governance": "approve approval reject pending policy permission standard rule govern review "
    "access allow deny",
    "power": "consolidate merge summary summarise summarize duplicate contradiction conflict tag "
    "expand analyse analyze compare",
    "meta": "agent register session capability capabilities status statistics stats quota health "
    "start identity",
    "archive": "archive archived restore purge backup recover history past",
    "other": "notify message inbox subscribe subscription webhook event alert send",
}


async def load_family(api: Api, given: Arguments) -> Outcome:
    """The best memories of one family."""
    family, k = given["family"], given.get("k") or K_DEFAULT
    found, looked_at = await _of_family(api, family, given.get("namespace"))
    best = _best(found)[:k]
    return told({"family": family, "memories": best, "count": len(best), "looked_at": looked_at})


async def smart_load(api: Api, given: Arguments) -> Outcome:
    """The best memories of the family that fits an intent, then what is relevant to it."""
    intent, k, space = given["intent"], given.get("k") or K_DEFAULT, given.get("namespace")
    family = family_of(intent)
    found: list[dict[str, Any]] = []
    if family is not None:
        found = _best((await _of_family(api, family, space))[0])[:k]
    known = {memory["id"] for memory in found}
    missing = k - len(found)
    if missing > 0:
        fill = await _relevant(api, intent, space, min(k, _RECALL_MAX))
        found += [memory for memory in fill if memory["id"] not in known][:missing]
    facts = {"intent": intent, "chosen_family": family, "memories": found, "count": len(found)}
    return told(facts)


def family_of(intent: str) -> str | None:
    """The family whose description shares most words with an intent; None when none does."""
    words = set(re.findall(r"[a-z]+", intent.lower()))
    shared = {name: len(words & set(said.split())) for name, said in _WORDS.items()}
    best = max(shared, key=lambda name: shared[name])
    return best if shared[best] else None


async def _of_family(
    api: Api, family: str, namespace: str | None
) -> tuple[list[dict[str, Any]], int]:
    """Memories of a family among the newest, and how many were looked at."""
    found: dict[str, dict[str, Any]] = {}
    offset = 0
    while offset < _LOOKED_AT_MAX:
        params: dict[str, Any] = {"limit": _PAGE, "offset": offset}
        if namespace:
            params["namespace"] = namespace
        page = (await api.request("GET", f"{PREFIX}/memories", params=params))["memories"]
        for memory in page:
            if (memory.get("metadata") or {}).get("family") == family:
                found.setdefault(memory["id"], memory)
        offset += len(page)
        if len(page) < _PAGE:
            break
    return list(found.values()), offset


async def _relevant(
    api: Api, intent: str, namespace: str | None, limit: int
) -> list[dict[str, Any]]:
    body: dict[str, Any] = {"context": intent, "limit": limit}
    if namespace:
        body["namespace"] = namespace
    answer = await api.request("POST", f"{PREFIX}/recall", body=body)
    memories: list[dict[str, Any]] = answer["memories"]
    return memories


def _best(memories: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Most important first; among equals the order stays, newest first."""
    return sorted(memories, key=lambda memory: -int(memory.get("priority", 0)))
