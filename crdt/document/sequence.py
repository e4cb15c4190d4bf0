"""Lists and texts: elements in the order that all writers agree on.

Law: an element stands right after the one it was inserted behind, but behind every element of a
greater name that it meets there (Roh et al., Replicated abstract data types, 2011: RGA). Names
grow along what is depended on, so that rule alone orders siblings, whatever came first. Elements
are hidden and never leave: others may have been inserted behind them.

Cost: elements that one author wrote in a row are one span, spans lie in blocks. Finding an
element by name is a bisection, finding one by position walks the blocks and one of them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from crdt.document.model import OpId
from crdt.document.register import Register, Value
from crdt.document.span import Block, Content, Mark, Span, first_of, scalar_at

_BLOCK_SPANS_MAX: Final = 256
_RUN_MAX: Final = 1024
"""Elements of a span: cutting one copies it."""


class Place(NamedTuple):
    """A position in a sequence.

    Attributes:
        span: that shows there; None at the end.
        element: which of its elements.
        inside: code points of that element that lie before the position; 0 at its edge.
    """

    span: Span | None
    element: int
    inside: int


class Sequence:
    """The elements of one list or text.

    Attributes:
        id: the operation that made it.
        is_text: whether positions count code points.
        depth: of the object below the root, which has 0.
    """

    __slots__ = ("_blocks", "_named", "depth", "id", "is_text")

    def __init__(self, named: OpId, *, is_text: bool, depth: int) -> None:
        self.id: OpId | None = named
        self.is_text = is_text
        self.depth = depth
        self._blocks: list[Block] = []
        self._named: dict[bytes, tuple[list[int], list[Span]]] = {}

    # --- reading -----------------------------------------------------------------

    def width(self) -> int:
        """Positions: code points of a text, visible elements of a list."""
        return sum(block.width for block in self._blocks)

    def text(self) -> str:
        """What shows, as one string; elements that are no strings as U+FFFC."""
        return "".join([span.text() for block in self._blocks for span in block.spans])

    def spans(self) -> Iterator[Span]:
        """All spans in order, the hidden ones too."""
        for block in self._blocks:
            yield from block.spans

    def spans_from(self, span: Span) -> Iterator[Span]:
        """`span` and all behind it."""
        block = span.block
        yield from block.spans[block.spans.index(span) :]
        for later in self._blocks[self._blocks.index(block) + 1 :]:
            yield from later.spans

    def rank(self, span: Span) -> tuple[int, int]:
        """Where a span stands among all; greater ones are behind it."""
        return self._blocks.index(span.block), span.block.spans.index(span)

    def find(self, named: OpId) -> tuple[Span, int] | None:
        """The span that an element is in, and which of its elements it is."""
        counter, actor = named
        known = self._named.get(actor)
        if known is None:
            return None
        at = bisect_right(known[0], counter) - 1
        if at < 0:
            return None
        span = known[1][at]
        offset = counter - span.counter
        return (span, offset) if offset < span.length else None

    def place(self, position: int) -> Place:
        """Where a position is: at the start of what shows there, hidden elements passed by."""
        for block in self._blocks:
            if position >= block.width:
                position -= block.width
                continue
            for span in block.spans:
                wide = span.width(text=self.is_text)
                if position >= wide:
                    position -= wide
                    continue
                return self._inside(span, position)
        return Place(None, 0, 0)

    def before(self, position: int) -> tuple[Span, int] | None:
        """The visible element that ends at a position, or goes beyond it; None at the start."""
        if position <= 0:
            return None
        found = self.place(position - 1)
        return None if found.span is None else (found.span, found.element)

    def values(self, span: Span, element: int) -> list[Value]:
        """The values that one element shows, the winner first."""
        content = span.content
        if isinstance(content, Register):
            return content.ranked()
        if isinstance(content, Mark) or span.over:
            return []
        return [Value(first_of(span, element), scalar_at(content, element), None)]

    def _inside(self, span: Span, position: int) -> Place:
        if isinstance(span.content, str) or not self.is_text:
            return Place(span, position, 0)
        if isinstance(span.content, list):
            for element, scalar in enumerate(span.content):
                wide = Span(0, b"", 1, [scalar]).width(text=True)
                if position < wide:
                    return Place(span, element, position)
                position -= wide
        return Place(span, 0, position)

    # --- writing -----------------------------------------------------------------

    def insert(self, behind: OpId | None, named: OpId, content: Content, length: int) -> None:
        """Put new elements behind one; `behind` is there, and `named` is the first one's name."""
        block, at = self._behind(behind, named)
        if block is None:
            fresh = Span(named.counter, named.actor, length, content)
            self._blocks.append(Block([fresh], text=self.is_text))
            self._register(fresh)
            return
        if at and self._extended(block.spans[at - 1], named, content, length):
            return
        fresh = Span(named.counter, named.actor, length, content)
        fresh.block = block
        block.spans.insert(at, fresh)
        block.width += fresh.width(text=self.is_text)
        block.lowest = min(block.lowest, named)
        self._register(fresh)
        self._settle(block)

    def remove(self, named: OpId, length: int) -> None:
        """Take elements back that nothing refers to any more, as if they had never been there."""
        while length:
            span = self._cut_out(named, length)
            length -= span.length
            block = span.block
            block.width -= span.width(text=self.is_text)
            block.spans.remove(span)
            if not block.spans:
                self._blocks.remove(block)
            starts, spans = self._named[span.actor]
            at = bisect_left(starts, span.counter)
            del starts[at], spans[at]
            if not starts:
                del self._named[span.actor]
            named = OpId(span.counter + span.length, span.actor)

    def deletable(self, named: OpId, length: int) -> bool:
        """Whether elements in a row are all there, each with the value it was inserted with."""
        counter, actor = named
        while length > 0:
            found = self.find(OpId(counter, actor))
            if found is None or isinstance(found[0].content, Mark):
                return False
            taken = found[0].length - found[1]
            counter += taken
            length -= taken
        return True

    def delete(self, named: OpId, length: int) -> None:
        """One operation more overwrites each of these elements' first values."""
        self._hide(named, length, 1)

    def undelete(self, named: OpId, length: int) -> None:
        """One operation fewer overwrites each of these elements' first values."""
        self._hide(named, length, -1)

    def opened(self, named: OpId) -> tuple[Span, Register] | None:
        """An element with its values, alone in its span; None if it is not there or is a mark."""
        found = self.find(named)
        if found is None or isinstance(found[0].content, Mark):
            return None
        content = found[0].content
        if isinstance(content, Register):
            return found[0], content
        span = self._cut_out(named, 1)
        register = Register()
        register.add(Value(named, scalar_at(content, found[1]), None, span.over))
        span.content = register
        span.over = 0
        return span, register

    def changed(self, span: Span, before: int) -> None:
        """The width of a span was `before`, and may be another now."""
        span.block.width += span.width(text=self.is_text) - before

    # --- the order and the room ------------------------------------------------------

    def _behind(self, behind: OpId | None, named: OpId) -> tuple[Block | None, int]:
        """Where an element goes: behind `behind`, and behind all that is greater there."""
        if not self._blocks:
            return None, 0
        if behind is None:
            return self._passed(self._blocks[0], 0, named)
        found = self.find(behind)
        if found is None:  # the caller looked
            raise KeyError(behind)
        span, offset = found
        if offset + 1 < span.length and (span.counter + offset + 1, span.actor) < named:
            self._cut(span, offset + 1)
        block = span.block
        return self._passed(block, block.spans.index(span) + 1, named)

    def _passed(self, block: Block, at: int, named: OpId) -> tuple[Block, int]:
        """The first place from here on where a smaller name follows, or none."""
        spans = block.spans
        for place in range(at, len(spans)):
            if (spans[place].counter, spans[place].actor) < named:
                return block, place
        if block is self._blocks[-1]:
            return block, len(spans)
        for later in self._blocks[self._blocks.index(block) + 1 :]:
            if later.lowest < named:
                for place, span in enumerate(later.spans):
                    if (span.counter, span.actor) < named:
                        return (later, place) if place else (block, len(block.spans))
            block = later
        return block, len(block.spans)

    def _extended(self, span: Span, named: OpId, content: Content, length: int) -> bool:
        """Whether a span took new elements to its end."""
        if (
            span.counter + span.length != named.counter
            or span.actor != named.actor
            or span.over
            or span.length + length > _RUN_MAX
        ):
            return False
        if isinstance(content, str) and isinstance(span.content, str):
            span.content += content
        elif isinstance(content, list) and isinstance(span.content, list):
            span.content.extend(content)
        else:
            return False
        span.length += length
        span.block.width += Span(0, b"", length, content).width(text=self.is_text)
        return True

    def _hide(self, named: OpId, length: int, by: int) -> None:
        while length:
            found = self.find(named)
            if found is None:  # the caller looked
                raise KeyError(named)
            span = found[0]
            if isinstance(span.content, Register):
                before = span.width(text=self.is_text)
                value = span.content.find(named)
                if value is None:
                    raise KeyError(named)
                (span.content.overwrite if by > 0 else span.content.uncover)(value)
                self.changed(span, before)
            else:
                span = self._cut_out(named, length)
                before = span.width(text=self.is_text)
                span.over += by
                self.changed(span, before)
            length -= span.length
            named = OpId(span.counter + span.length, span.actor)

    def _cut_out(self, named: OpId, length: int) -> Span:
        """The span that begins with an element and has at most so many, cut as needed."""
        found = self.find(named)
        if found is None:  # the caller looked
            raise KeyError(named)
        span, offset = found
        if offset:
            span = self._cut(span, offset)
        if span.length > length:
            self._cut(span, length)
        return span

    def _cut(self, span: Span, at: int) -> Span:
        """Part a span in two; the right one."""
        content = span.content
        if not isinstance(content, (str, list)):  # those have one element
            raise TypeError(content)
        right = Span(span.counter + at, span.actor, span.length - at, content[at:], span.over)
        span.content = content[:at]
        span.length = at
        block = span.block
        right.block = block
        block.spans.insert(block.spans.index(span) + 1, right)
        self._register(right)
        self._settle(block)
        return right

    def _register(self, span: Span) -> None:
        known = self._named.get(span.actor)
        if known is None:
            self._named[span.actor] = ([span.counter], [span])
            return
        starts, spans = known
        if span.counter > starts[-1]:
            starts.append(span.counter)
            spans.append(span)
            return
        at = bisect_left(starts, span.counter)
        starts.insert(at, span.counter)
        spans.insert(at, span)

    def _settle(self, block: Block) -> None:
        """Part a block that has grown too long."""
        if len(block.spans) <= _BLOCK_SPANS_MAX:
            return
        half = len(block.spans) // 2
        at = self._blocks.index(block)
        self._blocks[at : at + 1] = [
            Block(block.spans[:half], text=self.is_text),
            Block(block.spans[half:], text=self.is_text),
        ]
