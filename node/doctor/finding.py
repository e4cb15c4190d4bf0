"""What the doctor says: findings, gathered in sections.

Law: a finding names what is, and when it is bad also what to do and where to read on. A
section is as bad as its worst finding; one without findings is well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final


class Severity(IntEnum):
    """How bad; ordered, so that `max` gives the worst."""

    OK = 0
    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        """As it is printed."""
        return self.name.lower()


OPERATIONS: Final = "docs/operations.md"
FILES: Final = f"{OPERATIONS}#files"
SETTINGS: Final = f"{OPERATIONS}#settings"
ADDRESSES: Final = f"{OPERATIONS}#which-address-demands-what"
MEMBERS: Final = f"{OPERATIONS}#who-may-connect-who-is-a-member"
TROUBLE: Final = f"{OPERATIONS}#when-something-is-wrong"
GOVERNANCE: Final = "docs/governance.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is so.

    Attributes:
        severity: how bad it is.
        text: what is, as a sentence without a full stop.
        fix: what to do; empty when nothing has to be done.
        link: where to read on, from the root of the project.
    """

    severity: Severity
    text: str
    fix: str = ""
    link: str = ""

    def as_json(self) -> dict[str, str]:
        """As the API tells it."""
        return {
            "severity": self.severity.word,
            "text": self.text,
            "fix": self.fix,
            "link": self.link,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What was looked at under one name."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def severity(self) -> Severity:
        """That of the worst finding."""
        return max((finding.severity for finding in self.findings), default=Severity.OK)

    def as_json(self) -> dict[str, Any]:
        """As the API tells it."""
        return {
            "name": self.name,
            "severity": self.severity.word,
            "findings": [finding.as_json() for finding in self.findings],
        }


def worst_of(sections: Iterable[Section]) -> Severity:
    """How bad it is altogether."""
    return max((section.severity for section in sections), default=Severity.OK)


def as_json(sections: Sequence[Section]) -> dict[str, Any]:
    """The whole answer."""
    return {
        "severity": worst_of(sections).word,
        "sections": [section.as_json() for section in sections],
    }


def ok(text: str) -> Finding:
    """All is well here."""
    return Finding(severity=Severity.OK, text=text)


def info(text: str, *, fix: str = "", link: str = "") -> Finding:
    """Worth knowing; nothing has to be done."""
    return Finding(severity=Severity.INFO, text=text, fix=fix, link=link)


def warning(text: str, *, fix: str, link: str) -> Finding:
    """Should be looked at."""
    return Finding(severity=Severity.WARNING, text=text, fix=fix, link=link)


def critical(text: str, *, fix: str, link: str) -> Finding:
    """Data, or the promise about who may do what, is at stake."""
    return Finding(severity=Severity.CRITICAL, text=text, fix=fix, link=link)
