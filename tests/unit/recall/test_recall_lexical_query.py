import pytest
import tantivy

from node.recall.lexical_query import TERMS_MAX, planned, query, wanted
from node.recall.words import ANALYZER, register

_FIELDS = ("title", "content", "tags", "speaker", "dates")


class Texts:
    """An index over a few rows of texts."""

    def __init__(self, *rows: dict[str, str]) -> None:
        builder = tantivy.SchemaBuilder()
        for name in _FIELDS:
            builder.add_text_field(name, tokenizer_name=ANALYZER, index_option="freq")
        builder.add_integer_field("row", stored=True)
        self.schema = builder.build()
        index = tantivy.Index(self.schema)
        register(index)
        writer = index.writer(num_threads=1)
        for at, row in enumerate(rows):
            document = tantivy.Document()
            document.add_integer("row", at)
            for name, text in row.items():
                document.add_text(name, text)
            writer.add_document(document)
        writer.commit()
        index.reload()
        self.searcher = index.searcher()
        writer.wait_merging_threads()

    def find(self, text: str, *own: str) -> list[int]:
        counts = self.searcher.doc_freq
        plan = planned(wanted(text), counts, lambda _name, term: term in own)
        asked = query(plan, self.schema, counts, lambda _name, _term: 1.0)
        found = self.searcher.search(asked, limit=100).hits
        return [self.searcher.doc(place).get_first("row") for _, place in found]


@pytest.mark.parametrize(
    "text",
    [
        "lakes",
        "LAKE?",
        "content:lake",
        "+lake -lake",
        '"lake"~9',
        "(lake",
        "lake AND",
        "lake^0 OR *",
        "[lake TO",
        "la\u0301ke",
    ],
)
def test_a_word_is_found_whatever_stands_around_it(text: str) -> None:
    texts = Texts({"content": "by the lake"}, {"content": "in town"})
    assert texts.find(text) == [0]


def test_another_form_is_found_after_the_form_that_was_asked_for() -> None:
    texts = Texts({"content": "they went home"}, {"content": "they go home"}, {"content": "no"})
    assert texts.find("go") == [1, 0]
    assert Texts({"content": "they went"}, {"content": "x"}).find("go") == [0]


def test_each_field_counts() -> None:
    for name in ("title", "content", "tags", "dates"):
        assert Texts({name: "may"}, {"content": "other"}).find("May") == [0]


def test_a_date_as_a_number_finds_a_date_in_words() -> None:
    texts = Texts({"dates": "Monday 8 May 2023"}, {"dates": "Tuesday 9 May 2023"})
    assert texts.find("on 2023-05-08")[0] == 0


def test_a_name_of_a_speaker_weighs_less_than_a_word() -> None:
    rows = [
        {"content": "hi ann", "speaker": "Bob"},
        {"content": "the harbour", "speaker": "Ann"},
        {"content": "it rains", "speaker": "Ann"},
    ]
    assert Texts(*rows).find("ann harbour") == [1, 0]


def test_a_question_of_names_alone_finds_what_they_said() -> None:
    rows = [{"content": "it rains", "speaker": "Ann"}, {"content": "x", "speaker": "Bob"}]
    assert Texts(*rows).find("Ann") == [0]


@pytest.mark.parametrize("text", ["", "?!", "what is it", "unheard"])
def test_nothing_to_ask_finds_nothing(text: str) -> None:
    assert Texts({"content": "by the lake"}).find(text) == []


def test_of_a_long_question_the_rarest_terms_are_kept() -> None:
    common = [f"word{at}" for at in range(TERMS_MAX)]
    rows = [{"content": " ".join(common)} for _ in range(3)]
    texts = Texts(*rows, {"content": "heron"})
    assert 3 in texts.find(" ".join([*common, "heron"]))


def test_a_slip_in_a_word_that_nobody_wrote_finds_the_word() -> None:
    texts = Texts({"content": "the lighthouse keeper"}, {"content": "banana bread"})
    for slip in ("lihgthouse", "lighthuose", "lighthose", "lightthouse"):
        assert texts.find(slip) == [0]


def test_a_word_that_stands_somewhere_is_taken_as_it_is() -> None:
    texts = Texts({"content": "the goat"}, {"content": "the boat"})
    assert texts.find("boat") == [1]


def test_short_words_and_numbers_are_not_guessed() -> None:
    assert Texts({"content": "cat 12345"}).find("cut 12346") == []


def test_a_word_that_the_caller_keeps_is_no_slip() -> None:
    texts = Texts({"content": "the lighthouse keeper"})
    assert texts.find("lightmouse") == [0]
    assert texts.find("lightmouse", "lightmous") == []
