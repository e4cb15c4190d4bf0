"""Drawn memories: the same from the same seed, and like text."""

import zlib
from collections import Counter

from tests.benchmarks.texts import Texts, ident, vocabulary


def test_the_same_seed_and_number_give_the_same_memory() -> None:
    one, two = Texts(7), Texts(7)

    assert one.memory(12345) == two.memory(12345)
    assert one.memory(12345) != one.memory(12346)
    assert one.memory(3)["id"] == ident(3)


def test_contents_are_about_as_long_as_asked_for_and_none_twice() -> None:
    memories = Texts(7, content_bytes=1024).memories(0, 500)

    contents = [one["content"] for one in memories]
    assert len(set(contents)) == 500
    assert 1000 < sum(map(len, contents)) / 500 < 1150


def test_text_compresses_like_text_and_not_like_one_repeated_sentence() -> None:
    contents = [one["content"].encode() for one in Texts(7).memories(0, 300)]

    alone = sum(map(len, contents)) / sum(len(zlib.compress(one)) for one in contents)
    assert 1.5 < alone < 2.2


def test_the_most_frequent_words_are_short_and_much_more_frequent() -> None:
    words = vocabulary(7)
    text = " ".join(one["content"] for one in Texts(7).memories(0, 300)).lower()
    seen = Counter(text.replace(".", "").split())

    assert len(words) == len(set(words)) == 50_000
    assert seen[words[0]] > 5 * seen[words[10]] > 0
    assert sum(map(len, words[:500])) / 500 < sum(map(len, words[-500:])) / 500
