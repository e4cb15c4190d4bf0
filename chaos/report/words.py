r"""Text from a history, made harmless for a page, a terminal and a table of Markdown.

Law: histories hold what hostile clients wrote. Nothing in them can end an element, open one, turn
the direction of the text around it, move a cursor, or stay invisible: such characters are spelled
out as `\u202e`. What is cut off ends with an ellipsis.
"""

import unicodedata
from html import escape
from typing import Final

from chaos.report.shape import Part

TEXT_CHARS_MAX: Final = 300
_SPELLED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_TEN: Final = 10
_SMALL: Final = 0.01
_HUNDRED: Final = 100


def visible(text: object, most: int = TEXT_CHARS_MAX) -> str:
    """Text in which every character can be seen, of at most so many characters of the original."""
    given = str(text)
    cut = given if len(given) <= most else given[: most - 1] + "…"
    return "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char) in _SPELLED else char for char in cut
    )


def markup(text: object, most: int = TEXT_CHARS_MAX) -> str:
    """Visible text, escaped for the content or a quoted attribute of HTML and SVG."""
    return escape(visible(text, most), quote=True)


def cell(text: object, most: int = TEXT_CHARS_MAX) -> str:
    """Visible text for one cell of a Markdown table."""
    shown = visible(text, most)
    for char in "\\`*_[]<>|":
        shown = shown.replace(char, "\\" + char)
    return shown


def figure(value: float | None, unit: str = "") -> str:
    """A number with about three digits; a dash where there is none."""
    if value is None:
        return "-"
    if value == int(value):
        shown = f"{int(value):,}"
    elif abs(value) >= _HUNDRED:
        shown = f"{value:,.0f}"
    elif abs(value) >= _TEN:
        shown = f"{value:.1f}"
    elif abs(value) >= 1:
        shown = f"{value:.2f}"
    else:
        shown = f"{value:.3f}" if abs(value) >= _SMALL else f"{value:.2g}"
    return f"{shown} {unit}" if unit else shown


def percent(share: float | None, digits: int = 1) -> str:
    """A share of one as per cent; a dash where there is none."""
    return "-" if share is None else f"{share * _HUNDRED:.{digits}f} %"


def duration(seconds: float) -> str:
    """Seconds as people say them: `42 s`, `3 min 20 s`, `8 h 05 min`."""
    if seconds < _MINUTE_S:
        return figure(round(seconds, 1), "s")
    whole = round(seconds)
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S:02d} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S:02d} min"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 cycle`, `3,000 cycles`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def facts_of(part: Part) -> dict[str, object]:
    """What there is to say of one mesh of a campaign: when, what, where, how much."""
    return {
        "started": part["started"] or "not written down",
        "version": part["version"],
        "cycles": f"{part['cycles']:,} in {duration(part['seconds'])}",
        "taken up again": counted(part["resumes"], "time"),
        **part["machine"],
    }
