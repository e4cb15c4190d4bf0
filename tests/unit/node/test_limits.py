"""A limit on everything, with its unit in its name."""

import dataclasses

from node.limits import Limits
from node.settings import TABLE

_UNITS = {"bytes": "bytes", "ms": "ms", "characters": "chars"}


def test_a_unit_is_part_of_the_name() -> None:
    for row in TABLE:
        if row.section == "limits" and row.about.unit:
            assert _UNITS[row.about.unit] in row.key.split("_"), row.key


def test_every_default_is_within_its_own_range() -> None:
    for row in TABLE:
        low, high = row.about.minimum, row.about.maximum
        if row.default is None or low is None:
            continue
        assert low <= row.default, row.name
        assert high is None or row.default <= high, row.name


def test_the_contract_of_the_api_is_the_default() -> None:
    limits = Limits()
    assert limits.body_bytes_max == 2 * 1024 * 1024
    assert limits.content_bytes_max == 1024 * 1024
    assert (limits.bulk_items_max, limits.page_items_max) == (1000, 1000)
    assert (limits.tags_max, limits.tag_chars_max, limits.title_chars_max) == (50, 128, 512)
    assert (limits.headers_timeout_ms, limits.body_timeout_ms) == (5_000, 15_000)
    assert dataclasses.fields(limits)
