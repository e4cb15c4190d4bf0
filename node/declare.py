"""How a setting is described: beside the value it describes, once.

Law: a field of a section carries its unit, range, environment name, flag and help in its
own declaration. The file, the environment, the command line, the documentation and the
checks are all read from that declaration, so none can drift from another.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final, get_type_hints

_KEY: Final = "setting"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a declaration says beside type and default.

    Attributes:
        help: one sentence for people.
        unit: unit of a number, empty when it counts things.
        env: environment variable; derived from flag or section and key when empty.
        flag: option of `serve`, empty when the file and the environment are enough.
        reload: a running node takes a new value on SIGHUP.
        minimum: smallest number allowed.
        maximum: largest number allowed.
        choices: the only values allowed, when not empty.
        secret_file: the path names a secret: its modes are checked.
    """

    help: str
    unit: str = ""
    env: str = ""
    flag: str = ""
    reload: bool = False
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    secret_file: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row of the settings table."""

    section: str
    key: str
    type: Any
    default: Any
    about: About

    @property
    def name(self) -> str:
        """Dotted name, as messages and `origins` use it."""
        return f"{self.section}.{self.key}"

    @property
    def env(self) -> str:
        """Name of the environment variable."""
        if self.about.env:
            return self.about.env
        if self.about.flag:
            return "MNEMESH_" + self.about.flag.lstrip("-").replace("-", "_").upper()
        return f"MNEMESH_{self.section}_{self.key}".upper()


def setting(default: Any, **about: Any) -> Any:
    """Declare a field of a section; keyword arguments are those of `About`."""
    return field(default=default, metadata={_KEY: About(**about)})


def rows_of(sections: Mapping[str, type[Any]]) -> tuple[Setting, ...]:
    """Read the table out of the section classes.

    Raises:
        TypeError: a field was declared without `setting(...)`; a programmer's error.
    """
    rows = []
    for section, declared in sections.items():
        hints = get_type_hints(declared)
        for item in fields(declared):
            about = item.metadata.get(_KEY)
            if about is None or item.default is MISSING:
                raise TypeError(f"{section}.{item.name} is not declared with setting(...)")
            rows.append(
                Setting(
                    section=section,
                    key=item.name,
                    type=hints[item.name],
                    default=item.default,
                    about=about,
                )
            )
    return tuple(rows)
