"""Aliases at the edges: a peer that knows none takes none away."""

from node.foreign.content import content_of

ADA = {"title": "Ada", "content": "Ada", "memory_kind": "entity", "tags": ["entity"]}


def test_aliases_are_not_part_of_what_is_compared_with_a_peer() -> None:
    whole = content_of({**ADA, "aliases": ["AAL"]}, "people").whole
    assert whole == content_of(ADA, "people").whole
    assert whole == content_of({**ADA, "aliases/AAL": 0}, "people").whole
    assert whole != content_of({**ADA, "title": "AAL"}, "people").whole
