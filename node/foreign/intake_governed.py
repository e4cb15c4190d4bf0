"""Policies, held actions and decisions of a foreign peer, on their way in.

Law: a peer governs here only as far as this mesh lets an agent of its name govern. A policy
that was changed here since it was last exchanged is not written over. An action that is held
there is taken only where it is held here as well; nothing that a peer brought is approved on
its word, and a no is always heard.
"""

from collections.abc import Mapping
from typing import Any, Final

from crdt.dot import dot_text
from crdt.hlc import millis
from crdt.op import Draft, Kind, Value
from crdt.policy import Answer, Policy
from node import errors
from node.foreign.content import Hashes, RowReader, hash_of
from node.foreign.entries import Ancestor, Entry
from node.foreign.here import Here
from node.foreign.memory import PENDING, POLICY
from node.foreign.preview import preview
from node.foreign.remembering import after_deletion
from node.foreign.report import APPLIED, DECISION, DUPLICATE, META, META_CLEAR, REFUSED, Result
from node.foreign.report import PENDING as PENDING_KIND
from node.foreign.writing import Done, Sender, landed, retry_key
from node.governing.policies import is_standing, shown_rules
from node.governing.problems import AlreadyDecided, AlreadyVoted
from node.governing.waiting import WAITING, actions_of
from node.memory.drafts import COLLECTION
from node.memory.memories import Ask
from node.memory.problems import InvalidField, Shortfall
from node.memory.record import ALIASES
from node.memory.rules import agent_id, checked, moment

_FIELDS: Final = ("standard_id", "parent_namespace", "governance")
_NOT_HELD: Final = frozenset(("tags", ALIASES, "scope"))
"""Fields that a held update of a peer does not change here."""


def space_in(item: Any) -> str:
    """The namespace that an item names, for its result."""
    found = item.get("namespace") if isinstance(item, dict) else None
    return found if isinstance(found, str) else ""


# --- policies --------------------------------------------------------------------------


def meta_of(policy: Policy) -> dict[str, Any]:
    """What a policy says, as a row of the exchange without its time."""
    return {
        "namespace": policy.namespace,
        "standard_id": policy.standard_id or None,
        "parent_namespace": policy.parent or None,
        "governance": shown_rules(policy.rules),
    }


def standing(here: Here, space: str) -> list[Policy]:
    """The live versions of a namespace's policy that say something."""
    return [p for p in here.governing.state().policies.get(space, ()) if is_standing(p)]


def _said(row: Mapping[str, Any]) -> Hashes:
    return {name: hash_of(row[name]) for name in _FIELDS if row.get(name) not in (None, {}, "")}


def _ours(held: list[Policy]) -> Hashes:
    """What is held here; of several versions nothing can be equal."""
    if len(held) == 1:
        return _said(meta_of(held[0]))
    return {str(place): hash_of(meta_of(one)) for place, one in enumerate(held)}


async def take_meta(here: Here, sender: Sender, item: Any, *, dry_run: bool) -> Done:
    """A policy that a peer states.

    Raises:
        RequestError, node.errors.WriteError: it is not taken.
    """
    if not isinstance(item, Mapping):
        raise InvalidField("namespace_meta", "expected an object for each")
    space = here.standards.space("namespace", item.get("namespace"))
    updated = _updated(item)
    theirs, held = _said(item), standing(here, space)
    entry = here.memory.entry(sender.key, POLICY, space)
    if _nothing_new(theirs, held, entry, updated):
        fresh = _meta_after(entry, theirs, _ours(held), updated) if theirs == _ours(held) else entry
        known = {} if dry_run or fresh == entry else {(POLICY, space): fresh}
        return Done(result=Result(kind=META, id=space, status=DUPLICATE), entries=known)
    if held and entry.base is not None and entry.base.ours != _ours(held):
        words = "changed_here: this mesh has changed the policy since; it is not written over"
        return Done(result=Result(kind=META, id=space, status=REFUSED, error=words))
    if dry_run:
        return Done(result=Result(kind=META, id=space, status=APPLIED))
    caller = here.caller("", sender)
    body = {
        "id": item.get("standard_id"),
        "parent": item.get("parent_namespace"),
        **({"governance": item["governance"]} if item.get("governance") is not None else {}),
    }
    mark = "".join(sorted(one.hex() for one in theirs.values()))
    retry = retry_key(caller, sender, "meta", space, mark, str(entry.count))
    shortfall = None
    try:
        await here.standards.set(space, Ask(caller=caller, body=body, retry=retry), body)
    except Shortfall as error:
        shortfall = error.cause
    fresh = _meta_after(entry, theirs, _ours(standing(here, space)), updated)
    result = Result(kind=META, id=space, status=APPLIED)
    return Done(result=result, entries={(POLICY, space): fresh}, shortfall=shortfall)


def _updated(item: Mapping[str, Any]) -> int:
    given = item.get("updated_at")
    return 0 if given is None else moment("updated_at", given)


def _nothing_new(theirs: Hashes, held: list[Policy], entry: Entry, updated: int) -> bool:
    base = entry.base
    if theirs == _ours(held) or (base is not None and not base.gone and theirs == base.theirs):
        return True
    if updated and updated < entry.stamp:
        return True
    if base is not None or not held:
        return False
    return updated <= max(millis(policy.hlc) for policy in held)


def _meta_after(entry: Entry, theirs: Hashes, ours: Hashes, updated: int) -> Entry:
    base = Ancestor(theirs=theirs, ours=ours, received=True)
    return entry if entry.base == base else entry.exchanged(base, stamp=updated)


async def clear_meta(here: Here, sender: Sender, item: Any, *, dry_run: bool) -> Done:
    """A policy that a peer clears; counts for what was exchanged, and for nothing else.

    Raises:
        RequestError, node.errors.WriteError: it is not taken.
    """
    space = here.standards.space("namespace_meta_clears", item)
    entry = here.memory.entry(sender.key, POLICY, space)
    held = standing(here, space)
    if not held or entry.base is None or entry.base.gone or entry.base.ours != _ours(held):
        return Done(result=Result(kind=META_CLEAR, id=space, status=DUPLICATE))
    if dry_run:
        return Done(result=Result(kind=META_CLEAR, id=space, status=APPLIED))
    caller = here.caller("", sender)
    retry = retry_key(caller, sender, "meta-clear", space, str(entry.count))
    shortfall = None
    try:
        await here.standards.clear(space, Ask(caller=caller, body={}, retry=retry))
    except Shortfall as error:
        shortfall = error.cause
    entries = {(POLICY, space): after_deletion(entry, received=True)}
    result = Result(kind=META_CLEAR, id=space, status=APPLIED)
    return Done(result=result, entries=entries, shortfall=shortfall)


# --- held actions ----------------------------------------------------------------------


async def take_pending(here: Here, sender: Sender, item: Any, *, dry_run: bool) -> Done:
    """An action that is held at a peer: held here too, or not taken.

    Raises:
        RequestError, node.errors.WriteError: it is not taken.
    """
    if not isinstance(item, Mapping) or not isinstance(item.get("id"), str) or not item["id"]:
        raise InvalidField("id", "is required: the id of a held action")
    ident: str = item["id"]
    entry = here.memory.entry(sender.key, PENDING, ident)
    if entry.base is not None or item.get("status", WAITING) != WAITING:
        return Done(result=Result(kind=PENDING_KIND, id=ident, status=DUPLICATE))
    asks = agent_id("requested_by", item.get("requested_by"), here.memories.rules.limits)
    if _waits_already(here, item, asks):
        return Done(result=Result(kind=PENDING_KIND, id=ident, status=DUPLICATE))
    draft = _wanted(here, sender, item, asks)
    caller = here.caller(asks, sender)
    answer = preview(here.sight, here.governing.state(), (draft,), caller.agent)
    if answer is not Answer.PENDING:
        words = "not_held_here: no policy of this mesh holds it; it is taken once it is approved"
        return Done(result=Result(kind=PENDING_KIND, id=ident, status=REFUSED, error=words))
    if dry_run:
        return Done(result=Result(kind=PENDING_KIND, id=ident, status=APPLIED))
    retry = retry_key(caller, sender, "pending", ident)
    done = await landed(here.funnel.write([draft], caller=caller, action="sync", retry=retry))
    base = Ancestor(theirs={}, ours={}, dots=frozenset(done.dots), received=True, held=True)
    ours = here.memory.entry(sender.key, PENDING, done.pending_id)
    # Under our own name too: it is not given back to who brought it.
    entries = {
        (PENDING, ident): entry.exchanged(base),
        (PENDING, done.pending_id): ours.exchanged(base),
    }
    return done.done(PENDING_KIND, ident, entries)


def _waits_already(here: Here, item: Mapping[str, Any], asks: str) -> bool:
    """Whether the same wish waits here, by whatever way it came; else it would go in circles."""
    wanted = (COLLECTION, item.get("memory_id"))
    return any(
        action.record == wanted
        and action.kind == item.get("action_type")
        and action.first.requester == asks
        and action.status(here.now_ms()) == WAITING
        for action in actions_of(here.governing.pendings())
    )


def _wanted(here: Here, sender: Sender, item: Mapping[str, Any], asks: str) -> Draft:
    """The draft of what a held action would do.

    Raises:
        InvalidField: it cannot be told.
    """
    payload, action = item.get("payload") or {}, item.get("action_type")
    if not isinstance(payload, Mapping):
        raise InvalidField("payload", "expected an object")
    memory = item.get("memory_id")
    if action == "store":
        metadata = payload.get("metadata")
        inner = metadata if isinstance(metadata, Mapping) else {}
        row = {
            **payload,
            "id": memory,
            "namespace": item.get("namespace"),
            "metadata": {**inner, "agent_id": asks},
        }
        reader = RowReader(rules=here.memories.rules, now_ms=here.now_ms(), sender=sender.name)
        return reader.read(row).draft
    mine = here.sight.memory(memory) if isinstance(memory, str) else None
    if mine is None or mine.private:
        raise InvalidField("memory_id", "no such memory is here")
    if action == "delete":
        return Draft(kind=Kind.DELETE, collection=COLLECTION, id=mine.id)
    written: dict[str, Value] = {"tier": "long"}
    if action == "update":
        fields = checked(payload, here.memories.rules.limits)
        written = {n: v for n, v in fields.items() if v is not None and n not in _NOT_HELD}
    elif action != "promote":
        raise InvalidField("action_type", "expected store, update, promote or delete")
    return Draft(kind=Kind.EDIT, collection=COLLECTION, id=mine.id, set=written)


async def decide(here: Here, sender: Sender, item: Any, *, dry_run: bool) -> Done:
    """A decision that somebody made at a peer: a vote here, by the same rules as any.

    Raises:
        RequestError, node.errors.WriteError: it is not taken.
    """
    if not isinstance(item, Mapping) or not isinstance(item.get("id"), str):
        raise InvalidField("id", "is required: the id of a held action")
    ident, yes = item["id"], item.get("approved")
    if not isinstance(yes, bool):
        raise InvalidField("approved", "expected true or false")
    decider = agent_id("decider", item.get("decider"), here.memories.rules.limits)
    brought = here.memory.entry(sender.key, PENDING, ident).base
    refused = _distrusted(here, decider, yes=yes, brought=brought)
    if refused:
        return Done(result=Result(kind=DECISION, id=ident, status=REFUSED, error=refused))
    ours = dot_text(min(brought.dots)) if brought is not None and brought.dots else ident
    caller = here.caller(decider, sender)
    if dry_run:
        here.pendings.find(ours, caller)
        return Done(result=Result(kind=DECISION, id=ident, status=APPLIED))
    retry = retry_key(caller, sender, "decision", ours, str(yes))
    if here.memories.known(retry) is not None:
        return Done(result=Result(kind=DECISION, id=ident, status=DUPLICATE))
    shortfall: errors.QuorumNotMet | None = None
    try:
        await here.pendings.decide(ours, Ask(caller=caller, body={}, retry=retry), yes=yes)
    except (AlreadyDecided, AlreadyVoted):
        return Done(result=Result(kind=DECISION, id=ident, status=DUPLICATE))
    except Shortfall as error:
        shortfall = error.cause
    return Done(result=Result(kind=DECISION, id=ident, status=APPLIED), shortfall=shortfall)


def _distrusted(here: Here, decider: str, *, yes: bool, brought: Ancestor | None) -> str:
    """Why a vote is not taken on the word of a peer; empty when it is."""
    if here.bound(decider):
        return f"agent_signature_missing: {decider} votes with its own key alone"
    if yes and brought is not None:
        return "self_approval: a peer does not approve what it brought; decide it here"
    return ""
