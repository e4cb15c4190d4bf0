"""Subscriptions: who wants to hear of what, and where.

Law: a subscription is a record and replicates like one; the node that made it delivers it. It
hears of what its owner may know, no more, within the namespaces of the key that made it. Its
secret is stored, because deliveries are signed with it, and never shown or logged; its URL is
shown whole to its owner and to administrators alone, for URLs carry tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from yarl import URL

from crdt.hlc import millis
from crdt.op import Draft, Kind, Value
from crdt.roles import within
from crdt.state import Batch
from node.contracts import Caller, Held, Reader, Receipt
from node.events.filters import Filter
from node.events.names import EVERYTHING, asked_names, canonical
from node.events.webhooks.guard import Refused, read_url
from node.memory.finding import PREFIX_CHARS_MIN
from node.memory.memories import Ask, Memories
from node.memory.problems import Ambiguous, InvalidField, NotFound, NotOwner, RequestError
from node.memory.rules import agent_id, namespace
from node.memory.times import format_ms

COLLECTION: Final = "subscription"
SUBSCRIPTIONS_MAX: Final = 1000
OF_ONE_MAX: Final = 100
"""Most of one agent; all callers without a name are one."""

SECRET_CHARS_MAX: Final = 512
_KEY: Final = b"subscription/"
_KEY_AT: Final = slice(1, 1 + len(_KEY))
_SHOWN_CANDIDATES_MAX: Final = 20


class TooManySubscriptions(RequestError):  # noqa: N818 - named like its siblings
    """The mesh holds as many as it serves."""

    http_status = 409
    code = "too_many_subscriptions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One subscription.

    Attributes:
        id: of its record.
        owner: who hears.
        url: where to deliver; empty for nowhere.
        events: names as they were given, a list or text.
        namespace: exactly there; empty for everywhere.
        secret: signs deliveries; empty for none.
        home: hex node id of the member that delivers.
        spaces: subtrees that the key reached which made it; None for no limit.
        made_ms: milliseconds since the epoch.
    """

    id: str
    owner: str
    url: str
    events: Any
    namespace: str
    secret: str
    home: str
    spaces: tuple[str, ...] | None
    made_ms: int

    @property
    def wanted(self) -> Filter:
        """What it wants to hear of."""
        names = self.events.split(",") if isinstance(self.events, str) else self.events
        stripped = [str(one).strip() for one in names]
        return Filter(events=canonical(stripped), namespace=self.namespace)

    @property
    def viewer(self) -> Caller:
        """As whom it hears."""
        return Caller(agent=self.owner, namespaces=self.spaces)

    def __repr__(self) -> str:
        return f"Subscription(id={self.id!r})"


def subscription_of(held: Held) -> Subscription | None:
    """The subscription in a record; None when its fields are not those of one."""
    get = held.view.values.get
    texts = {name: get(name, "") for name in ("url", "namespace", "secret", "home")}
    events, spaces = get("events", EVERYTHING), get("spaces")
    if not all(isinstance(text, str) for text in texts.values()):
        return None  # a member that does not keep to the format subscribes to nothing
    if not isinstance(events, (str, list)):
        return None
    return Subscription(
        id=held.id,
        owner=held.view.owner,
        events=events,
        spaces=tuple(str(one) for one in spaces) if isinstance(spaces, list) else None,
        made_ms=millis(held.view.created),
        **texts,
    )


Counts = Callable[[str], tuple[int, int]]
"""(deliveries, failed tries) of a subscription on this node."""


def _none(_ident: str) -> tuple[int, int]:
    return 0, 0


class Subscriptions:
    """Makes, lists and ends subscriptions.

    Args:
        memories: gives funnel, rules and clock.
        node_id: hex id of this node.
        loopback: whether webhooks may lead to this machine, asked anew each time.
        counts: deliveries on this node.
    """

    def __init__(
        self,
        memories: Memories,
        *,
        node_id: str,
        loopback: Callable[[], bool] = lambda: False,
        counts: Counts = _none,
    ) -> None:
        self._memories = memories
        self._node_id = node_id
        self._loopback = loopback
        self._counts = counts

    # Making.

    async def create(self, ask: Ask) -> tuple[Subscription, Receipt]:
        """Subscribe.

        Raises:
            InvalidField: a field cannot be taken.
            TooManySubscriptions: there is no room for another one.
            node.memory.problems.Shortfall: stored here, not on W members.
            node.errors.WriteError: nothing was minted.
        """
        draft = self._draft(ask)
        known = self._memories.known(ask.retry) is not None
        if not known and len(self._names("")) >= SUBSCRIPTIONS_MAX:
            raise TooManySubscriptions(
                f"{SUBSCRIPTIONS_MAX} subscriptions are held", fix="Delete those nobody needs"
            )
        if not known and self._count(ask.caller) >= OF_ONE_MAX:
            raise TooManySubscriptions(
                f"{ask.agent} has {OF_ONE_MAX} subscriptions", fix="Delete those nobody needs"
            )
        drafts = () if known else (draft,)
        receipt = await self._memories.commit(drafts, ask, "store", id=draft.id)
        return self._one(draft.id) or self._asked(draft), receipt

    def _draft(self, ask: Ask) -> Draft:
        body, rules = ask.body, self._memories.rules
        space = body.get("namespace")
        given = body.get("events", body.get("event_types"))
        written: dict[str, Value] = {
            "url": self._url(body.get("url")),
            "events": _events(given),
            "namespace": namespace("namespace", space, rules.limits) if space else "",
            "home": self._node_id,
        }
        secret = _secret(body.get("secret"))
        if secret:
            written["secret"] = secret
        if ask.caller.namespaces is not None:
            written["spaces"] = list(ask.caller.namespaces)
        return Draft(
            kind=Kind.CREATE,
            collection=COLLECTION,
            id=self._memories.funnel.draw_id(ask.retry, 0),
            namespace=written["namespace"] or rules.default_namespace,
            owner=ask.agent,
            set=written,
            fresh=ask.retry is None,
        )

    def _url(self, given: Any) -> str:
        if given is None or given == "":
            return ""
        if not isinstance(given, str):
            raise InvalidField("url", "expected text")
        try:
            read_url(given, loopback=self._loopback())
        except Refused as error:
            raise InvalidField("url", str(error)) from error
        return given

    def _asked(self, draft: Draft) -> Subscription:
        """What a request asked for that waits, or is gone by now."""
        values = dict(draft.set)
        spaces = values.pop("spaces", None)
        return Subscription(
            id=draft.id,
            owner=draft.owner,
            spaces=None if spaces is None else tuple(spaces),
            made_ms=self._memories.now_ms(),
            **{"secret": "", **values},
        )

    # Showing.

    def page(self, viewer: Caller, params: Mapping[str, str], *, administrator: bool) -> list[Any]:
        """Subscriptions, the oldest first; of others' the URL shows its host alone.

        Raises:
            InvalidField: a filter cannot mean what it must.
        """
        limits = self._memories.rules.limits
        agent, space = params.get("agent_id"), params.get("namespace")
        agent = agent_id("agent_id", agent, limits) if agent else None
        found = [
            one
            for one in self._all(viewer)
            if agent in (None, one.owner) and space in (None, "", one.namespace)
        ]
        found.sort(key=lambda one: (one.made_ms, one.id))
        return [self.shown(one, whole=administrator or _owns(viewer, one)) for one in found]

    def shown(self, one: Subscription, *, whole: bool) -> dict[str, Any]:
        """A subscription in API words; its secret is in none of them."""
        dispatched, failed = self._counts(one.id)
        return {
            "id": one.id,
            "url": one.url if whole else _origin(one.url),
            "events": one.events,
            "namespace": one.namespace,
            "agent_id": one.owner,
            "created_at": format_ms(one.made_ms),
            "dispatch_count": dispatched,
            "failure_count": failed,
            "signed": bool(one.secret),
            "delivered_by": one.home,
        }

    # Ending.

    async def end(
        self, params: Mapping[str, Any], ask: Ask, *, administrator: bool
    ) -> tuple[list[str], Receipt]:
        """End one subscription by `id`, or those of an agent, of one namespace if that is named.

        Raises:
            InvalidField: nothing is named.
            NotFound, Ambiguous: there is none such.
            NotOwner: it is another agent's.
            node.memory.problems.Shortfall: stored here, not on W members.
            node.errors.WriteError: nothing was minted.
        """
        if self._memories.known(ask.retry) is not None:
            return [], await self._memories.commit((), ask, "delete")
        found = self._named(params, ask.caller)
        others = [one for one in found if not (administrator or _owns(ask.caller, one))]
        if others:
            raise NotOwner("only its owner, or an administrator, ends a subscription")
        drafts = [Draft(kind=Kind.DELETE, collection=COLLECTION, id=one.id) for one in found]
        ids = [one.id for one in found]
        return ids, await self._memories.commit(drafts, ask, "delete", ids=ids)

    def _named(self, params: Mapping[str, Any], viewer: Caller) -> list[Subscription]:
        wanted = params.get("id")
        if isinstance(wanted, str) and wanted:
            return [self._find(wanted, viewer)]
        agent, space = params.get("agent_id"), params.get("namespace")
        if not agent:
            raise InvalidField("id", "is required, or agent_id with the namespace")
        agent = agent_id("agent_id", agent, self._memories.rules.limits)
        found = [
            one
            for one in self._all(viewer)
            if one.owner == agent and space in (None, one.namespace)
        ]
        if not found:
            raise NotFound("there is no such subscription")
        return found

    def _find(self, wanted: str, viewer: Caller) -> Subscription:
        one = self._one(wanted)
        found = [one] if one is not None and _reaches(viewer, one) else []
        if not found and len(wanted) >= PREFIX_CHARS_MIN:
            near = (self._one(name) for name in self._names(wanted))
            found = [one for one in near if one is not None and _reaches(viewer, one)]
        if len(found) == 1:
            return found[0]
        if found:
            raise Ambiguous(wanted, [one.id for one in found[:_SHOWN_CANDIDATES_MAX]])
        raise NotFound("there is no such subscription")

    # Reading.

    def _count(self, caller: Caller) -> int:
        """How many a caller has, whatever its key reaches."""
        found = (self._one(name) for name in self._names(""))
        return sum(one is not None and _owns(caller, one) for one in found)

    def _names(self, prefix: str) -> list[str]:
        reader = self._memories.funnel.reader()
        return reader.with_prefix(COLLECTION, prefix, SUBSCRIPTIONS_MAX)

    def _one(self, ident: str) -> Subscription | None:
        held = self._memories.funnel.reader().get(COLLECTION, ident)
        return None if held is None else subscription_of(held)

    def _all(self, viewer: Caller) -> list[Subscription]:
        found = (self._one(name) for name in self._names(""))
        return [one for one in found if one is not None and _reaches(viewer, one)]


def _owns(viewer: Caller, one: Subscription) -> bool:
    """Whether a subscription is a caller's own; all callers without a name are one."""
    if viewer.nameless:
        return Caller(agent=one.owner).nameless
    return viewer.agent == one.owner


def _reaches(viewer: Caller, one: Subscription) -> bool:
    """Whether the key of a caller reaches a subscription."""
    spaces = viewer.namespaces
    return spaces is None or (bool(one.namespace) and within(one.namespace, spaces))


def _origin(url: str) -> str:
    if not url:
        return ""
    try:
        return f"{URL(url).origin()}/..."
    except ValueError:
        return "..."


def _events(given: Any) -> Any:
    """Names of events in the shape in which they came: text or a list."""
    if given is None or given in ("", []):
        return EVERYTHING
    names = asked_names("events", given)
    return given if isinstance(given, str) else names


def _secret(given: Any) -> str:
    if given is None or given == "":
        return ""
    if not isinstance(given, str) or len(given) > SECRET_CHARS_MAX:
        raise InvalidField("secret", f"expected text of at most {SECRET_CHARS_MAX} characters")
    return given


class Roster:
    """All subscriptions of the mesh that want deliveries, read again when one has changed.

    Args:
        reader: reads the newest state.
    """

    def __init__(self, reader: Callable[[], Reader]) -> None:
        self._reader = reader
        self._store: str | None = None
        self._found: Sequence[Subscription] = ()

    def saw(self, batch: Batch) -> None:
        """Follow a commit."""
        if any(key[_KEY_AT] == _KEY for key in batch.records):
            self._store = None

    def current(self) -> Sequence[Subscription]:
        """Those with a URL."""
        reader = self._reader()
        if reader.store_id != self._store:
            self._store = reader.store_id
            names = reader.with_prefix(COLLECTION, "", SUBSCRIPTIONS_MAX)
            held = (reader.get(COLLECTION, name) for name in names)
            found = [subscription_of(one) for one in held if one is not None]
            self._found = tuple(one for one in found if one is not None and one.url)
        return self._found
