"""When a memory is from, and who speaks in it, in words that people ask with.

Law: what the memory says of itself counts before what this mesh knows: a date in its metadata
before the time it was stored, a named speaker before the agent that wrote it down.
"""

import functools
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Final

from node.recall.values import Document

_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_MONTH_OF: Final = {name[:3].lower(): at for at, name in enumerate(_MONTHS, 1)}
_MONTH: Final = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_NUMBERED: Final = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})(?!\d)")
_DAY_FIRST: Final = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH},?\s+(\d{{4}})\b", re.IGNORECASE
)
_MONTH_FIRST: Final = re.compile(
    rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b", re.IGNORECASE
)
_WORDS_MAX: Final = 200
_DATES_MAX: Final = 4
_SECONDS_MAX: Final = 10**11
"""Larger numbers are milliseconds."""
_DAY_MS: Final = 86_400_000

_NAMES_A_MOMENT: Final = re.compile(r"(?:^|_)(?:date|time|datetime|timestamp)(?:_|$)|_at$")
_SPEAKER_KEYS: Final = ("speaker", "author", "sender")
_SPOKEN: Final = re.compile(r"\s*([^\W\d_][\w .'-]{0,40}):\s")
_NAMELESS: Final = "anonymous:"


def date_words(document: Document) -> str:
    """Its dates as `Monday 8 May 2023`: those its metadata names, else when it was made."""
    days = list(dict.fromkeys(_declared(document.metadata)))[:_DATES_MAX]
    return " ".join(spelled(day) for day in days) if days else _made(document.created_ms)


def spelled(day: date) -> str:
    """A day in words."""
    return f"{day:%A} {day.day} {_MONTHS[day.month - 1]} {day.year}"


def days_in(text: str) -> list[date]:
    """The full dates that a text names: 2023-05-08, 8 May 2023, May 8, 2023."""
    return list(_days_in(text[:_WORDS_MAX]))


def speaker_of(document: Document) -> str:
    """Who speaks: as the metadata says, as the content begins (`Ann: ...`), else the author."""
    for name in _SPEAKER_KEYS:
        said = document.metadata.get(name)
        if isinstance(said, str) and said:
            return said
    spoken = _SPOKEN.match(document.content)
    if spoken is not None:
        return spoken[1]
    if document.owner.startswith(_NAMELESS):
        return ""
    return document.owner.rpartition(":")[2]


def _declared(metadata: Mapping[str, object]) -> Iterator[date]:
    for name in sorted(metadata):
        if not _NAMES_A_MOMENT.search(name.lower()):
            continue
        value = metadata[name]
        if isinstance(value, str):
            yield from _days_in(value[:_WORDS_MAX])
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield from _of_number(float(value))


def _of_number(value: float) -> Iterator[date]:
    """Seconds or milliseconds since the epoch; small numbers are something else."""
    seconds = value / 1000 if value > _SECONDS_MAX else value
    if seconds < _SECONDS_MAX / 1000:
        return
    try:
        yield datetime.fromtimestamp(seconds, UTC).date()
    except (OverflowError, ValueError, OSError):
        return


def _days_in(text: str) -> Iterator[date]:
    for year, month, day in _NUMBERED.findall(text):
        yield from _day(int(year), int(month), int(day))
    for day, month, year in _DAY_FIRST.findall(text):
        yield from _day(int(year), _MONTH_OF[month[:3].lower()], int(day))
    for month, day, year in _MONTH_FIRST.findall(text):
        yield from _day(int(year), _MONTH_OF[month[:3].lower()], int(day))


def _day(year: int, month: int, day: int) -> Iterator[date]:
    try:
        yield date(year, month, day)
    except ValueError:
        return


def _made(ms: int) -> str:
    return _day_in_words(ms // _DAY_MS)


@functools.lru_cache(64)
def _day_in_words(days: int) -> str:
    """A day, by how many came since the epoch."""
    try:
        day = time.gmtime(days * _DAY_MS // 1000)
        return spelled(date(day.tm_year, day.tm_mon, day.tm_mday))
    except (OverflowError, ValueError, OSError):
        return ""
