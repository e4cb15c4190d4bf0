"""Links that come in with an export made elsewhere.

Law: a link is taken when both of its ends are there for the caller, or come in with the same
request; one that is stated already is left as it is. A bad one is reported with its place and
changes nothing for the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crdt.op import Draft, Value
from node.links.index import COLLECTION
from node.links.link import link_draft, relation_of, required
from node.memory.batch import Batch
from node.memory.drafts import COLLECTION as MEMORY
from node.memory.memories import Ask, Memories
from node.memory.problems import InvalidField, NotFound, RequestError
from node.memory.record import CREATED_AT, visible_to
from node.memory.rules import agent_id, moment, record_id


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """One end of a link."""

    namespace: str
    private: bool


def take_links(
    memories: Memories, items: Sequence[Any], ask: Ask, *, trust: bool
) -> Callable[[Batch], None]:
    """What adds the links of an import to the request that brings their memories.

    Args:
        memories: where.
        items: links as the API shows them.
        ask: who imports.
        trust: keep who stated them, instead of stamping the caller.
    """

    def add(batch: Batch) -> None:
        fresh = {draft.id: draft for draft in batch.drafts}
        for index, item in enumerate(items):
            try:
                draft = _draft(memories, item, ask, fresh, trust=trust)
            except RequestError as error:
                batch.errors.append({"link": index, "error": str(error)})
                continue
            known = memories.funnel.reader().get(COLLECTION, draft.id)
            if known is not None or draft.id in batch.seen:
                batch.skipped_links += 1
                continue
            batch.seen.add(draft.id)
            batch.drafts.append(draft)
            batch.links += 1

    return add


def _draft(
    memories: Memories, item: Any, ask: Ask, fresh: Mapping[str, Draft], *, trust: bool
) -> Draft:
    if not isinstance(item, dict):
        raise InvalidField("link", "expected an object")
    limits = memories.rules.limits
    source, target = (
        record_id(name, required(item, name), limits) for name in ("source_id", "target_id")
    )
    if source == target:
        raise InvalidField("target_id", "is the source itself")
    relation = relation_of(item)
    ends = [_end(memories, one, ask, fresh) for one in (source, target)]
    fields: dict[str, Value] = {
        name: moment(name, item[name])
        for name in (CREATED_AT, "valid_from", "valid_until")
        if item.get(name) is not None
    }
    if CREATED_AT in fields:
        fields[CREATED_AT] = min(fields[CREATED_AT], memories.now_ms())
    declared = item.get("observed_by")
    owner = ask.agent
    if trust and declared is not None:
        owner = agent_id("observed_by", declared, limits)
    return link_draft(
        source=source,
        relation=relation,
        target=target,
        namespace=ends[0].namespace,
        owner=owner,
        private=ends[0].private or ends[1].private,
        fields=fields,
    )


def _end(memories: Memories, wanted: str, ask: Ask, fresh: Mapping[str, Draft]) -> _End:
    draft = fresh.get(wanted)
    if draft is not None:
        return _End(namespace=draft.namespace, private=draft.private)
    held = memories.funnel.reader().get(MEMORY, wanted)
    if held is None or not visible_to(held, ask.caller):
        raise NotFound(f"no memory has the id {wanted}, an end of the link")
    return _End(namespace=held.view.namespace, private=held.private)
