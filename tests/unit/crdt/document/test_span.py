from crdt.document.model import NULL, OpId, Scalar, ScalarKind
from crdt.document.register import Register, Value
from crdt.document.span import (
    OBJECT_CHARACTER,
    Block,
    Content,
    Mark,
    Span,
    first_of,
    is_character,
    scalar_at,
)
from tests.unit.crdt.document.authors_rig import ANN

LONG = Scalar(ScalarKind.STRING, "long")


def seen(content: Content, length: int, over: int = 0) -> tuple[str, int, int]:
    span = Span(2, ANN, length, content, over)
    return span.text(), span.width(text=True), span.width(text=False)


def test_what_a_span_shows_and_how_wide_it_is() -> None:
    register = Register()
    assert seen("abc", 3) == ("abc", 3, 3)
    assert seen("abc", 3, over=1) == ("", 0, 0)
    assert seen([LONG, NULL], 2) == ("long" + OBJECT_CHARACTER, 5, 2)
    assert seen([LONG, NULL], 2, over=2) == ("", 0, 0)
    assert seen(Mark("b", NULL, expand=True), 1) == ("", 0, 0)
    assert seen(register, 1) == ("", 0, 0)
    register.add(Value(OpId(2, ANN), LONG, None))
    assert seen(register, 1) == ("long", 4, 1)


def test_a_block_knows_its_width_and_its_lowest_name() -> None:
    spans = [Span(9, ANN, 2, "ab"), Span(4, ANN, 1, "c"), Span(5, ANN, 3, "xyz", 1)]
    block = Block(spans, text=True)
    assert (block.width, block.lowest) == (3, (4, ANN))
    assert all(span.block is block for span in spans)


def test_single_elements_of_a_run() -> None:
    assert first_of(Span(9, ANN, 2, "ab"), 1) == OpId(10, ANN)
    assert scalar_at("ab", 1) == Scalar(ScalarKind.STRING, "b")
    assert scalar_at([LONG], 0) is LONG
    assert is_character(Scalar(ScalarKind.STRING, "\U0001f600"))
    assert not is_character(LONG)
