"""What a document must be shown as, taken apart and put together again."""

import pytest

from chaos.check.document_view import seen_in


@pytest.mark.parametrize(
    ("shown", "content"),
    [
        ({}, ""),
        ({"text": "[a][b]", "list": [], "map": {}, "count": 3}, "[a][b]"),
        ({"text": "[a]", "latest": "l", "list": ["y", "x"], "map": {"n": "n", "m": "m"}},
         "[a]\nl\ny\nx\nm\nn"),
        # Everything was taken out of the text: what is left begins with another string.
        ({"text": "", "latest": "331.c2-2", "list": ["331.c3-5"], "count": 5},
         "331.c2-2\n331.c3-5"),
        ({"text": None, "list": ["x"]}, "x"),
    ],
)  # fmt: skip
def test_the_content_is_every_string_that_is_not_empty(
    shown: dict[str, object], content: str
) -> None:
    assert seen_in(shown).content() == content
