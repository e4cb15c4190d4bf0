"""The list on `docs/doctor.md`, written from the table that the doctor itself obeys.

Law: everything below the mark is generated; what stands above it is written by hand.
`python -m tests.architecture.doctor_page` writes it, and a test fails when the page no longer
says what the table says.
"""

import sys
from pathlib import Path
from typing import Final

from node.doctor.finding import PAGE
from node.doctor.table import SECTIONS

ROOT: Final = Path(__file__).resolve().parents[2]
MARK: Final = (
    "<!-- Below: python -m tests.architecture.doctor_page. Edit node/doctor/ instead. -->\n"
)


def listed() -> str:
    """Every section, and everything that it can find."""
    lines = []
    for check in SECTIONS:
        lines += [f"## Section {check.name}", "", f"{check.about[0].upper()}{check.about[1:]}.", ""]
        for kind in check.kinds:
            how = " or ".join(f"`{severity.word}`" for severity in kind.severities)
            lines += [
                f"### {kind.name}",
                "",
                f"{how}. {kind.means}",
                "",
                f"What to do: {kind.do}",
                "",
            ]
    return "\n".join(lines).rstrip() + "\n"


def page() -> str:
    """The whole page, with its list made anew."""
    by_hand, mark, _ = (ROOT / PAGE).read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise ValueError(f"{PAGE} has lost its mark: {MARK}")
    return f"{by_hand}{MARK}\n{listed()}"


def main() -> int:
    """Write the page when it changed."""
    path, text = ROOT / PAGE, page()
    if path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {PAGE}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
