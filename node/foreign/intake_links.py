"""Links of a foreign peer, on their way in.

Law: a link is the same link wherever it is stated, because its ends and its relation name it.
So stating it twice is a duplicate; an end of its time that a peer knows and we do not is an
edit; taking it back counts for what the peer has seen of it, and for nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from crdt.dot import Dot
from crdt.op import Draft, Kind, Value
from node.contracts import Held
from node.foreign.content import Hashes, hash_of
from node.foreign.entries import Ancestor, Entry
from node.foreign.here import Here
from node.foreign.memory import LINK
from node.foreign.remembering import after_deletion
from node.foreign.report import APPLIED, DUPLICATE, LINK_DELETION, Result
from node.foreign.report import LINK as LINK_KIND
from node.foreign.writing import Done, Sender, dots_text, landed, retry_key
from node.links.index import COLLECTION, link_id
from node.links.link import Link, link_draft, link_of, relation_of, required
from node.memory.problems import InvalidField, NotFound
from node.memory.record import ATTEST_LEVEL, CREATED_AT
from node.memory.rules import agent_id, moment, record_id

_UNTIL: Final = "valid_until"
_ID_CHARS_MAX: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A link of ours, with the operations that carry it."""

    link: Link
    births: frozenset[Dot]
    dots: frozenset[Dot]

    @property
    def hashes(self) -> Hashes:
        """What it says beside its name."""
        return _hashes(self.link.valid_until)


def _hashes(until: Value) -> dict[str, bytes]:
    return {} if until is None else {_UNTIL: hash_of(until)}


def stated(here: Here, ident: str) -> Stated | None:
    """A link of the shared lane; None when nothing visible is left of it."""
    found = here.sight.look(COLLECTION, ident)
    if found is None:
        return None
    seen, births, dots = found
    link = link_of(Held(collection=COLLECTION, id=ident, private=False, view=seen))
    return None if link is None else Stated(link=link, births=births, dots=dots)


def name_of(item: Any) -> str:
    """By which a sender recognises a link in the results."""
    if not isinstance(item, Mapping):
        return ""
    source, target = item.get("source_id"), item.get("target_id")
    if not isinstance(source, str) or not isinstance(target, str):
        return ""
    try:
        return link_id(source, relation_of(item), target)
    except InvalidField:
        return ""


async def take(here: Here, sender: Sender, item: Any, *, dry_run: bool) -> Done:
    """A link that a peer states.

    Raises:
        RequestError, node.errors.WriteError: it is not taken.
    """
    draft = _draft(here, sender, item)
    mine = stated(here, draft.id)
    entry = here.memory.entry(sender.key, LINK, draft.id)
    theirs = _hashes(draft.set.get(_UNTIL))
    if mine is None and entry.base is not None and not entry.base.gone:
        return _nothing(draft.id)  # taken back here
    wanted = (draft,) if mine is None else _edit(draft, mine, entry, theirs)
    if dry_run or not wanted:
        fresh = _after(entry, theirs, mine, mine.dots if mine else frozenset())
        known = {} if dry_run or fresh == entry else {(LINK, draft.id): fresh}
        status = APPLIED if wanted else DUPLICATE
        result = Result(kind=LINK_KIND, id=draft.id, status=status)
        return Done(result=result, entries=known)
    caller = here.caller(draft.owner, sender)
    said = orjson.dumps([draft.set.get(_UNTIL), entry.count]).decode()
    retry = retry_key(caller, sender, "link", draft.id, said)
    done = await landed(here.funnel.write(wanted, caller=caller, action="sync", retry=retry))
    now = stated(here, draft.id)
    fresh = _after(entry, theirs, now, frozenset(done.dots))
    return done.done(LINK_KIND, draft.id, {(LINK, draft.id): fresh})


def _draft(here: Here, sender: Sender, item: Any) -> Draft:
    if not isinstance(item, Mapping):
        raise InvalidField("links", "expected an object for each")
    limits = here.memories.rules.limits
    source, target = (
        record_id(name, required(item, name), limits) for name in ("source_id", "target_id")
    )
    if source == target:
        raise InvalidField("target_id", "is the source itself")
    ends = [here.sight.memory(one) for one in (source, target)]
    if ends[0] is None or any(end is None or end.private for end in ends):
        raise NotFound("an end of the link is not here")
    fields: dict[str, Value] = {
        name: moment(name, item[name])
        for name in (CREATED_AT, "valid_from", _UNTIL)
        if item.get(name) is not None
    }
    if CREATED_AT in fields:
        fields[CREATED_AT] = min(fields[CREATED_AT], here.now_ms())
    by = item.get("observed_by")
    return link_draft(
        source=source,
        relation=relation_of(item),
        target=target,
        namespace=ends[0].view.namespace,
        owner=sender.name if by is None else agent_id("observed_by", by, limits),
        fields=fields,
    )


def _edit(draft: Draft, mine: Stated, entry: Entry, theirs: Hashes) -> tuple[Draft, ...]:
    """What a peer's word changes about a link that is here."""
    base = entry.base
    if theirs == mine.hashes or (base is not None and theirs == base.theirs):
        return ()
    if base is None and _UNTIL not in theirs:
        return ()  # not knowing of an end says nothing
    seen = mine.dots if base is None or base.gone else base.dots
    if not seen & mine.births:
        return ()
    written = {_UNTIL: draft.set[_UNTIL]} if _UNTIL in theirs else {}
    removed = frozenset((ATTEST_LEVEL,) if _UNTIL in theirs else (ATTEST_LEVEL, _UNTIL))
    edit = replace(draft, kind=Kind.EDIT, set=written, removed=removed, seen=seen)
    edit = replace(edit, namespace="", owner="")
    if mine.dots <= seen:
        return (edit,)
    # What the peer has not seen must not go with the revision that it was written with.
    return (replace(edit, set={}, removed=frozenset(), seen=None), edit)


def _after(entry: Entry, theirs: Hashes, now: Stated | None, minted: frozenset[Dot]) -> Entry:
    if now is None:
        return entry
    level = theirs == now.hashes
    known = frozenset() if entry.base is None else entry.base.dots
    base = Ancestor(
        theirs=theirs,
        ours=now.hashes,
        dots=now.dots if level else (known | minted) & now.dots,
        settled=settled_mark(now) if level else b"",
        received=True,
    )
    return entry if entry.base == base else entry.exchanged(base)


def settled_mark(link: Stated) -> bytes:
    """Stands for a link as it is, in the memory of what need not be given."""
    return b"link" + b"".join(link.hashes.values())


async def end(here: Here, sender: Sender, item: Any, *, dry_run: bool) -> Done:
    """A link that a peer takes back.

    Raises:
        RequestError, node.errors.WriteError: it is not taken.
    """
    if not isinstance(item, str) or not 1 <= len(item) <= _ID_CHARS_MAX:
        raise InvalidField("link_deletions", "expected the id of a link")
    entry = here.memory.entry(sender.key, LINK, item)
    mine = stated(here, item)
    base = entry.base
    seen = frozenset() if base is None or base.gone or mine is None else base.dots & mine.births
    if not seen or dry_run:
        status = APPLIED if seen else DUPLICATE
        return Done(result=Result(kind=LINK_DELETION, id=item, status=status))
    caller = here.caller("", sender)
    draft = Draft(kind=Kind.DELETE, collection=COLLECTION, id=item, seen=seen)
    retry = retry_key(caller, sender, "link_deletion", item, dots_text(sorted(seen)))
    done = await landed(here.funnel.write([draft], caller=caller, action="sync", retry=retry))
    fresh = entry if done.pending_id else after_deletion(entry, received=True)
    return done.done(LINK_DELETION, item, {(LINK, item): fresh})


def _nothing(ident: str) -> Done:
    return Done(result=Result(kind=LINK_KIND, id=ident, status=DUPLICATE))
