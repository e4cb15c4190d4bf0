import random
import unicodedata

import pytest
import tantivy

from node.recall import words
from node.recall.words import ANALYZER, TERM_CHARS_MAX, asked, cut, register, terms


def test_words_are_folded_stemmed_and_freed_of_stop_words() -> None:
    assert terms("The Cafés were RUNNING, weren't they?") == [
        "café".replace("é", "e"),
        "run",
        "weren",
    ]


@pytest.mark.parametrize(
    "text",
    ['title:"x" AND (y OR -z)', "a*b?~2^3", "'; DROP TABLE memories; --", "{{7*7}} ${x} <b>", "\\"],
)
def test_operators_and_fragments_are_nothing_but_words(text: str) -> None:
    assert all(term.isalnum() for term in terms(text))


def test_scripts_without_blanks_give_a_term_a_character() -> None:
    assert terms("東京tower") == ["東", "京", "tower"]


def test_other_scripts_stay_whole_words() -> None:
    assert terms("Привет мир") == ["привет", "мир"]


def test_encoded_data_is_no_word() -> None:
    assert terms("a" * (TERM_CHARS_MAX + 1) + " lake") == ["lake"]


def test_zero_width_and_direction_marks_divide_words_and_do_no_harm() -> None:
    assert terms("\u202elake\u200bshore") == ["lake", "shore"]


def test_a_question_asks_for_irregular_forms() -> None:
    assert asked("Where did she go?") == {"go": ("went", "gone")}
    assert asked("What was bought?")["bought"] == ("buy",)


def test_a_question_asks_for_each_term_once() -> None:
    assert list(asked("lake lakes Lake")) == ["lake"]


def test_a_question_of_stop_words_alone_asks_for_nothing() -> None:
    assert asked("what is it?") == {}


def test_an_index_analyses_as_terms_does() -> None:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("content", tokenizer_name=ANALYZER)
    schema = builder.build()
    index = tantivy.Index(schema)
    register(index)
    writer = index.writer(num_threads=1)
    text = "Résumés of 東京 runners, 2 of them"
    document = tantivy.Document()
    document.add_text("content", cut(text))
    writer.add_document(document)
    writer.commit()
    index.reload()
    searcher = index.searcher()
    assert [searcher.doc_freq("content", term) for term in terms(text)] == [1] * len(terms(text))
    writer.wait_merging_threads()


def test_a_text_is_cut_as_the_expression_of_tokens_cuts_it() -> None:
    drawn = random.Random(23)
    blocks = (
        0x20,
        0xA0,
        0x300,
        0x370,
        0x900,
        0xE00,
        0x2010,
        0x3000,
        0x4E00,
        0xAC00,
        0xFF00,
        0x1F600,
    )
    for number in range(3_000):
        kinds = drawn.sample(blocks, 3)
        size = drawn.randrange(12) if number % 9 else 200
        chars = [chr(drawn.choice(kinds) + drawn.randrange(0x60)) for _ in range(size)]
        text = "".join(char if drawn.random() < 0.7 else drawn.choice("ab -_'\n") for char in chars)
        whole = words._tokenizer().analyze(unicodedata.normalize("NFKC", text))
        assert [part for part in cut(text).split(" ") if part] == whole, ascii(text)
