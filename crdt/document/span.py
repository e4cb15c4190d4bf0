"""Runs of elements of a sequence, and the blocks they lie in.

Law: the elements of a span have names that follow one another, lie side by side, and were all
overwritten by equally many operations; so one span stands for many elements at the cost of one.
"""

from typing import Final, NamedTuple

from crdt.document.model import OpId, Scalar, ScalarKind
from crdt.document.register import Register

OBJECT_CHARACTER: Final = "\ufffc"
"""What stands in a text for an element that is no string (Unicode, object replacement)."""


class Mark(NamedTuple):
    """One end of a range of text that is marked; it has no width.

    Attributes:
        name: of the mark; None at the end of a range.
        value: what the range is marked with.
        expand: whether what is written at this edge belongs to the range.
    """

    name: str | None
    value: Scalar
    expand: bool


Content = str | list[Scalar] | Register | Mark
"""Characters of one code point each, plain scalars, one element with a history, or a mark."""


class Span:
    """A run of elements.

    Attributes:
        counter: of the name of its first element; the others count on.
        actor: of all names.
        length: number of elements.
        over: how many operations overwrite each; a `Register` counts for itself.
        content: what they hold.
        block: where it lies.
    """

    __slots__ = ("actor", "block", "content", "counter", "length", "over")

    block: "Block"

    def __init__(
        self, counter: int, actor: bytes, length: int, content: Content, over: int = 0
    ) -> None:
        self.counter = counter
        self.actor = actor
        self.length = length
        self.content = content
        self.over = over

    def width(self, *, text: bool) -> int:
        """How many positions it takes: code points in a text, elements elsewhere."""
        content = self.content
        if isinstance(content, str):
            return 0 if self.over else self.length
        if isinstance(content, list):
            if self.over:
                return 0
            return sum(map(width_in_text, content)) if text else self.length
        if isinstance(content, Register):
            winner = content.winner()
            if winner is None:
                return 0
            return width_in_text(winner.scalar) if text else 1
        return 0

    def text(self) -> str:
        """Its visible characters."""
        content = self.content
        if isinstance(content, str):
            return "" if self.over else content
        if isinstance(content, list):
            return "" if self.over else "".join(map(shown_in_text, content))
        if isinstance(content, Register):
            winner = content.winner()
            return "" if winner is None else shown_in_text(winner.scalar)
        return ""


class Block:
    """Neighbouring spans, so that a position is found without looking at every span.

    Attributes:
        spans: in the order of the sequence.
        width: the sum of theirs.
        lowest: no span in here begins with a smaller name.
    """

    __slots__ = ("lowest", "spans", "width")

    def __init__(self, spans: list[Span], *, text: bool) -> None:
        self.spans = spans
        self.width = sum(span.width(text=text) for span in spans)
        self.lowest: tuple[int, bytes] = min((span.counter, span.actor) for span in spans)
        for span in spans:
            span.block = self


def shown_in_text(scalar: Scalar | None) -> str:
    """What an element shows in a text: its string, or the object character."""
    if scalar is not None and scalar.kind == ScalarKind.STRING:
        return str(scalar.value)
    return OBJECT_CHARACTER


def width_in_text(scalar: Scalar | None) -> int:
    """Code points of what an element shows in a text."""
    if scalar is not None and scalar.kind == ScalarKind.STRING:
        return len(str(scalar.value))
    return 1


def is_character(scalar: Scalar) -> bool:
    """Whether a scalar is a string of one code point."""
    return scalar.kind == ScalarKind.STRING and len(scalar.value) == 1  # type: ignore[arg-type]  # a string, by its kind


def first_of(span: Span, offset: int) -> OpId:
    """The name of one element of a span."""
    return OpId(span.counter + offset, span.actor)


def scalar_at(content: str | list[Scalar], element: int) -> Scalar:
    """One element of a run as the scalar it is."""
    one = content[element]
    return Scalar(ScalarKind.STRING, one) if isinstance(one, str) else one
