"""What the doctor says: findings, each of a kind, gathered in sections.

Law: a kind is declared once, with what it means and what to do; the page that a finding links to
is written from those declarations, so a link always leads somewhere. A finding names what is,
and when it is bad also what to do. A section is as bad as its worst finding; one without
findings is well.
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


INFO: Final = Severity.INFO
WARNING: Final = Severity.WARNING
CRITICAL: Final = Severity.CRITICAL

PAGE: Final = "docs/doctor.md"
"""Where every kind has a heading of its own, from the root of the project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is so.

    Attributes:
        severity: how bad it is.
        text: what is, as a sentence without a full stop.
        fix: what to do; empty when nothing has to be done. What stands in backticks is a
            command that can be typed as it is.
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
class Kind:
    """Something that can be found; called with the facts of a case it gives the finding.

    Attributes:
        name: heading of its paragraph on the page; also the anchor there.
        severities: which it may have; the first unless a case says another.
        means: what follows from it, as one or more sentences.
        do: what to do about it, as one or more sentences.
    """

    name: str
    severities: tuple[Severity, ...]
    means: str
    do: str

    @property
    def link(self) -> str:
        """Where it is explained."""
        return f"{PAGE}#{self.name}"

    def __call__(self, text: str, *, fix: str = "", severity: Severity | None = None) -> Finding:
        """A case of it.

        Args:
            text: what is, as a sentence without a full stop.
            fix: what to do, with the names of this case; needed from a warning on.
            severity: one of those that it may have.

        Raises:
            ValueError: another severity, or nothing to do about something bad; a defect.
        """
        how = self.severities[0] if severity is None else severity
        if how not in self.severities or (how > INFO and not fix):
            raise ValueError(f"{self.name} cannot be {how.word} with the fix {fix!r}")
        return Finding(severity=how, text=text, fix=fix, link=self.link)


def kind(name: str, *severities: Severity, means: str, do: str) -> Kind:
    """Declare a kind."""
    return Kind(name=name, severities=severities, means=means, do=do)


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
