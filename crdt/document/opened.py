"""A document that is open: its changes, taken in, and everything that is asked of it.

Law: what is shown is a function of the changes that were gathered. One that cannot be taken (it
refers to what is not in its past) is set aside, and all that depends on it; that is told by its
past alone, so it is alike on every node and does not turn. Asking changes nothing: what a
question needs to take back for a while is in place again when it is answered.

One thread at a time: questions about the past rewind the one state there is.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from crdt.document import showing
from crdt.document.causality import in_order
from crdt.document.change import encode_change
from crdt.document.chunk import UNFOLDED_TIMES
from crdt.document.editing import edit_ops, replace_text
from crdt.document.edits import EditError
from crdt.document.gathering import Aside, Gathered
from crdt.document.model import (
    Change,
    ChangeError,
    DocumentLimits,
    DocumentTooLargeError,
    MissingChangesError,
)
from crdt.document.opset import OpSet
from crdt.document.pack import Kept
from crdt.fields import CHUNK_MARK

REFUSED: Final = "refused"
"""Why a change is set aside that reads well and cannot be taken."""

_CHANGE_WEIGHT: Final = 800
_OP_WEIGHT: Final = 400
"""Bytes of memory that a change and an operation take at most, as measured, besides its chunk."""

NO_LIMITS: Final = DocumentLimits()


class Document:
    """A document that is open.

    Attributes:
        aside: what was set aside, by the name of its field.
        refused: why changes were, that read well: by hash, in words.
        whole: False while a question takes something back, and for ever where it ended in that,
            for want of memory as a rule: the document has to be opened anew then.
    """

    def __init__(self, limits: DocumentLimits = NO_LIMITS) -> None:
        self.aside: list[Aside] = []
        self.refused: dict[bytes, str] = {}
        self._limits = limits
        self._opset = OpSet()
        self._taken: dict[bytes, Kept] = {}
        self._claimed: set[tuple[bytes, int]] = set()
        self._ops = 0
        self._stored_bytes = 0
        self._unfolded_bytes = 0
        self._weight = 0
        self._text: str | None = None
        self._order: object = None
        self.whole = True

    # --- what it is made of --------------------------------------------------------------

    @classmethod
    def opened(cls, gathered: Gathered, limits: DocumentLimits = NO_LIMITS) -> "Document":
        """The document that a record holds.

        Args:
            gathered: its changes.
            limits: bounds for what `edited` and `accepts` add.
        """
        document = cls(limits)
        document._take(gathered, gathered.kept.values())
        return document

    @classmethod
    def of(cls, kept: Iterable[Kept], limits: DocumentLimits = NO_LIMITS) -> "Document":
        """The document that changes make that another one has taken.

        Args:
            kept: the changes, each after what it depends on.
            limits: as for `opened`.
        """
        document = cls(limits)
        for one in kept:
            document._opset.apply(one.change)
            document._add(one)
        document._ops = document._opset.ops
        return document

    def grown(self, gathered: Gathered) -> "Document":
        """The document as its record holds it now; it takes the place of this one.

        Costs what is new, unless something is gone from the record.
        """
        tail, kept = gathered.tail, gathered.kept.keys()
        if gathered.order is self._order:
            self._take(gathered, ())
        elif tail is not None and tail.after is self._order:
            self._take(gathered, tail.kept)
        elif self._taken.keys() <= kept and self.refused.keys() <= kept:
            self._take(gathered, gathered.kept.values())
            # In their order, and with who wrote them first, whichever came first here.
            self._taken = {n: one for n, one in gathered.kept.items() if n not in self.refused}
        else:
            return Document.opened(gathered, self._limits)
        return self

    def _take(self, gathered: Gathered, fresh: Iterable[Kept]) -> None:
        """Take what is new; known changes among it are passed over."""
        self._order = None  # whatever happens, half of it follows nothing
        for one in fresh:
            name = one.change.hash
            if name in self._taken or name in self.refused:
                continue
            try:
                self._opset.apply(one.change)
            except ChangeError as error:
                self.refused[name] = str(error)
                self._claimed.add((one.change.actor, one.change.seq))
                continue
            self._add(one)
        lost = [Aside(CHUNK_MARK + name.hex(), REFUSED) for name in self.refused]
        self.aside = sorted([*gathered.aside, *lost])
        self._ops = gathered.ops
        self._stored_bytes = gathered.stored_bytes
        self._order = gathered.order

    def _add(self, one: Kept) -> None:
        self._taken[one.change.hash] = one
        self._text = None
        self._unfolded_bytes += one.change.unfolded_bytes
        self._weight += _CHANGE_WEIGHT + len(one.change.data) + _OP_WEIGHT * len(one.change.ops)

    # --- what it shows ---------------------------------------------------------------------

    @property
    def heads(self) -> tuple[bytes, ...]:
        """The changes that no other one depends on, sorted; what a client says it has seen."""
        return self._opset.heads

    @property
    def weight(self) -> int:
        """Bytes of memory, roughly, and rather more than less."""
        return self._weight

    @property
    def changes(self) -> int:
        """How many changes there are."""
        return len(self._taken)

    def __contains__(self, name: object) -> bool:
        return name in self._taken

    def value(self) -> dict[str, Any]:
        """The document as JSON: `showing.value`."""
        return showing.value(self._opset)

    def types(self) -> dict[str, str]:
        """What JSON does not say: `showing.types`."""
        return showing.types(self._opset)

    def conflicts(self) -> dict[str, dict[str, Any]]:
        """What was written at once: `showing.conflicts`."""
        return showing.conflicts(self._opset)

    def text(self) -> str:
        """The document as text: `showing.text`."""
        if self._text is None:
            self._text = showing.text(self._opset)
        return self._text

    def is_plain(self) -> bool:
        """Whether the root's `text` is all the strings that there are: `showing.is_plain`."""
        return showing.is_plain(self._opset)

    def package_shape(self) -> dict[str, Any]:
        """What the PyPI package would tell: `showing.package_shape`."""
        return showing.package_shape(self._opset)

    # --- its history -------------------------------------------------------------------------

    def history(self) -> list[Kept]:
        """All changes, each after what it depends on."""
        return list(self._taken.values())

    def data(self) -> bytes:
        """All chunks one after the other, each after what it depends on."""
        return b"".join([one.change.data for one in self._taken.values()])

    def since(self, heads: Iterable[bytes]) -> list[Kept]:
        """The changes that whoever has seen these heads lacks, each after what it depends on.

        Raises:
            MissingChangesError: there are no such changes.
        """
        past = self._past(heads)
        if past is None:
            return []
        return [one for name, one in self._taken.items() if name not in past]

    def at(self, heads: Iterable[bytes]) -> "Document":
        """The document as whoever has seen these heads, and nothing else, sees it.

        Raises:
            MissingChangesError: there are no such changes.
        """
        past = self._past(heads)
        seen = (one for name, one in self._taken.items() if past is None or name in past)
        return Document.of(seen, self._limits)

    def _past(self, heads: Iterable[bytes]) -> set[bytes] | None:
        """These changes and all that they depend on; None if that is all there is."""
        waiting = list(heads)
        missing = tuple(sorted(name for name in waiting if name not in self._taken))
        if missing:
            raise MissingChangesError(missing)
        past = set(waiting)
        if past == set(self.heads):
            return None
        while waiting:
            for dep in self._taken[waiting.pop()].change.deps:
                if dep not in past:
                    past.add(dep)
                    waiting.append(dep)
        return past

    @contextmanager
    def _whole_again(self) -> Iterator[None]:
        """For what takes the state apart and puts it together, also where it refuses in words."""
        before, self.whole = self.whole, False
        try:
            yield
        except (ChangeError, EditError):
            self.whole = before
            raise
        self.whole = before

    @contextmanager
    def _as_of(self, past: set[bytes] | None) -> Iterator[None]:
        """The state without what lies beyond a past, for a while."""
        if past is None:
            yield
            return
        beyond = [one.change for name, one in self._taken.items() if name not in past]
        for change in reversed(beyond):
            self._opset.undo(change)
        try:
            yield
        finally:
            for change in beyond:
                self._opset.apply(change)

    # --- what is added to it -------------------------------------------------------------------

    def next_seq(self, actor: bytes, heads: Iterable[bytes] | None = None) -> int | None:
        """The number of an actor's next change, made upon these heads (None: the present ones).

        None when its last one does not lie in their past: another actor has to make it.
        """
        last = self._opset.seq(actor)
        past = self._past(heads) if last and heads is not None else None
        if past is None:
            return last + 1
        name = next(
            one.change.hash
            for one in reversed(self._taken.values())
            if one.change.actor == actor and one.change.seq == last
        )
        return last + 1 if name in past else None

    def edited(
        self,
        edits: Iterable[object],
        *,
        actor: bytes,
        seq: int,
        time: int,
        message: str | None,
        heads: Iterable[bytes] | None = None,
    ) -> Change:
        """The change that edits come to; the document is as before.

        Args:
            edits: as `edits` describes them.
            actor: who makes it.
            seq: its number: what `next_seq` gives.
            time: seconds since the epoch.
            message: what its author says of it.
            heads: what the author saw; None for all there is. Positions mean what was there, and
                counters go on from there: a change needs nothing but what it depends on.

        Returns:
            The change; without operations when the edits change nothing.

        Raises:
            EditError: an edit cannot be made.
            MissingChangesError: there are no such heads.
            DocumentTooLargeError: a bound would be passed.
            ChangeError: the numbers of the document are used up.
            ValueError: `seq` is not the next one.
        """
        wanted = None if heads is None else list(heads)
        if seq != self.next_seq(actor, wanted):
            raise ValueError(f"{seq} is not the next change of this actor")
        past = None if wanted is None else self._past(wanted)
        with self._whole_again(), self._as_of(past):
            deps = self._opset.heads
            start_op = self._opset.max_op + 1
            ops = edit_ops(self._opset, edits, actor=actor, start_op=start_op, limits=self._limits)
        change = encode_change(
            actor=actor,
            seq=seq,
            start_op=start_op,
            time=time,
            message=message,
            deps=deps,
            ops=ops,
        )
        most = self._limits.change_bytes_max
        if len(change.data) > most:
            raise DocumentTooLargeError("change_bytes_max", most, len(change.data))
        if ops:
            self.check_room([change])
        return change

    def text_edits(self, new: str) -> list[dict[str, Any]]:
        """Edits that make the root's `text` this one: `editing.replace_text`."""
        return replace_text(self._opset, new)

    def accepts(self, changes: Iterable[Change]) -> list[Change]:
        """Those of these changes that are new, each after what it depends on; nothing is taken.

        Raises:
            MissingChangesError: what they depend on is neither here nor among them.
            DocumentTooLargeError: a bound would be passed.
            ChangeError: one of them cannot be taken.
        """
        fresh = {one.hash: one for one in changes if one.hash not in self._taken}
        lost = sorted({dep for one in fresh.values() for dep in one.deps}.union(fresh))
        for name in lost:
            if name in self.refused:
                raise ChangeError(f"change {name.hex()} is set aside: {self.refused[name]}")
        missing = tuple(name for name in lost if name not in fresh and name not in self._taken)
        if missing:
            raise MissingChangesError(missing)
        ordered = in_order(fresh)
        self.check_room(ordered)
        with self._whole_again():
            self._try(ordered)
        return ordered

    def _try(self, changes: Sequence[Change]) -> None:
        """Take changes and take them back.

        Raises:
            ChangeError: one cannot be taken.
        """
        done: list[Change] = []
        ops = self._ops
        try:
            for change in changes:
                if (change.actor, change.seq) in self._claimed:
                    raise ChangeError(f"change {change.seq} of its actor is set aside already")
                if change.start_op > ops + 1:
                    raise ChangeError(
                        f"its operations begin at {change.start_op}, but there are {ops} before"
                    )
                self._opset.apply(change)
                done.append(change)
                ops += len(change.ops)
        finally:
            for change in reversed(done):
                self._opset.undo(change)

    def check_room(self, changes: Sequence[Change]) -> None:
        """Hold what would be added against the bounds of the whole document.

        Raises:
            DocumentTooLargeError: a bound would be passed.
        """
        limits = self._limits
        stored = limits.stored_bytes_max
        size = sum(len(one.data) for one in changes)
        unfolded = sum(one.unfolded_bytes for one in changes)
        bounds = (
            ("changes_max", limits.changes_max, self.changes + len(changes)),
            ("ops_max", limits.ops_max, self._ops + sum(len(one.ops) for one in changes)),
            ("stored_bytes_max", stored, self._stored_bytes + size),
            ("stored_bytes_max", UNFOLDED_TIMES * stored, self._unfolded_bytes + unfolded),
        )
        for bound, most, got in bounds:
            if got > most:
                raise DocumentTooLargeError(bound, most, got)
