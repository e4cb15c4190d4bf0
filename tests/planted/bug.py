"""A planted bug: what it breaks, and who ought to notice.

Law: one patch breaks one promise, in a line or two, the way somebody tired would. Each names
the layers that ought to catch it and no others, and of those only the tests that could; what
stays silent is shown as silent. A patch that breaks an import or any call at all is no use here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.planted.layers import Watch

PATCHES: Final = Path(__file__).parent / "patches"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One bug.

    Attributes:
        name: of the file in `patches/`, without its ending; begins with its number.
        meaning: the promise that it breaks, in words.
        watch: who ought to notice.
    """

    name: str
    meaning: str
    watch: Watch

    @property
    def number(self) -> str:
        """The first part of its name."""
        return self.name.partition("-")[0]

    @property
    def patch(self) -> Path:
        """The file."""
        return PATCHES / f"{self.name}.patch"
