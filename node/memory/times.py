"""Moments as agents write them: RFC 3339 text outside, milliseconds since the epoch inside.

Law: what is written is UTC with milliseconds and `Z`; what is read is any RFC 3339 date-time
(section 5.6), with any offset, and nothing looser: no missing zone, no week dates.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_SHAPE: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:(\d\d)(?:\.\d{1,12})?(?:[Zz]|[+-](\d\d):(\d\d))", re.ASCII
)
_LEAP_SECOND: Final = "60"
_SECONDS: Final = slice(17, 19)
_HOURS_MAX: Final = 23
_MINUTES_MAX: Final = 59

MS_MAX: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, the largest that the text form can say."""

MS_MIN: Final = -62_135_596_800_000
"""The first millisecond of the year 1, the smallest."""


def format_ms(ms: int) -> str:
    """The text of a moment, as `2026-03-01T12:00:00.250Z`.

    Args:
        ms: milliseconds since the epoch; beyond the year 9999 the last moment is shown, before
            the year 1 the first.
    """
    second, rest = divmod(max(MS_MIN, min(ms, MS_MAX)), 1000)
    return f"{_second_text(second)}.{rest:03d}Z"


@lru_cache(maxsize=8192)
def _second_text(second: int) -> str:
    # Lists show the same few seconds again and again, and this is most of their cost.
    return (_EPOCH + timedelta(seconds=second)).isoformat()[:19]


def parse_ms(text: str) -> int:
    """Milliseconds since the epoch of an RFC 3339 date-time.

    Raises:
        ValueError: the text is something else, or no moment that exists.
    """
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise ValueError("expected an RFC 3339 timestamp, as 2026-03-01T12:00:00.250Z")
    second, hours, minutes = shape.groups()
    if hours is not None and (int(hours) > _HOURS_MAX or int(minutes) > _MINUTES_MAX):
        raise ValueError("the offset of the timestamp is out of range")
    leap = second == _LEAP_SECOND
    if leap:
        text = f"{text[: _SECONDS.start]}59{text[_SECONDS.stop :]}"
    moment = datetime.fromisoformat(text.upper())
    try:
        since = moment - _EPOCH
    except OverflowError as error:
        raise ValueError("the timestamp is out of range") from error
    return since // _MILLISECOND + (1000 if leap else 0)
