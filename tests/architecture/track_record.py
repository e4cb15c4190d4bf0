"""What the chaos harness found, as `docs/CHAOS-REPORT.md` shows it.

Law: `tests/chaos_found.toml` is the one place. `python -m tests.architecture.track_record` writes
its table between two marks of the document, and a test fails when they differ. A row of a campaign
makes its own command from its class and seed; it can be no other than the one that is tested.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
TABLE: Final = ROOT / "tests" / "chaos_found.toml"
DOCUMENT: Final = ROOT / "docs" / "CHAOS-REPORT.md"
COMMAND: Final = "python -m tests.architecture.track_record"
BEGIN: Final = f"<!-- track record: written by `{COMMAND}` -->"
END: Final = "<!-- track record: to here -->"
PLAYED_AGAIN: Final = (
    "tests/integration/test_chaos_found.py::test_what_a_campaign_found_stays_found"
)
_HEADS: Final = ("what was wrong", "found by", "again", "fix", "held by")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """One cycle of a campaign."""

    code: str
    seed: int
    nodes: int
    quorum_writes: int

    @property
    def words(self) -> tuple[str, ...]:
        """What follows `mnemesh chaos run`."""
        return (
            *("--class", self.code, "--cycles", "1", "--seed", str(self.seed)),
            *("--nodes", str(self.nodes), "--quorum-writes", str(self.quorum_writes)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One bug.

    Attributes:
        wrong: what somebody who uses it would have seen.
        by: the class or tool.
        fix: in a sentence.
        again: commands that show it.
        tests: each `path::name`; they fail without the fix.
        replays: of a campaign; none when another tool found it.
    """

    wrong: str
    by: str
    fix: str
    again: tuple[str, ...]
    tests: tuple[str, ...]
    replays: tuple[Replay, ...]


@cache
def found() -> tuple[Found, ...]:
    """Every row.

    Raises:
        ValueError: a row lacks something or has too much.
    """
    return tuple(map(_found, tomllib.loads(TABLE.read_text(encoding="utf-8"))["found"]))


def _found(row: dict[str, Any]) -> Found:
    of_campaigns = {"wrong", "by", "fix", "tests", "classes", "seed"}
    if row.keys() - {"nodes", "quorum_writes"} == of_campaigns:
        nodes = int(row.get("nodes", 5))
        writes = int(row.get("quorum_writes", nodes // 2 + 1))
        replays = tuple(
            Replay(code=code, seed=row["seed"], nodes=nodes, quorum_writes=writes)
            for code in row["classes"]
        )
    elif row.keys() == {"wrong", "by", "fix", "tests", "again"}:
        replays = ()
    else:
        raise ValueError(f"a row is of a campaign or says how to see it again: {sorted(row)}")
    again = tuple(f"mnemesh chaos run {' '.join(one.words)}" for one in replays)
    return Found(
        wrong=row["wrong"],
        by=row["by"],
        fix=row["fix"],
        again=again or (row["again"],),
        tests=(*row["tests"], *([PLAYED_AGAIN] if replays else ())),
        replays=replays,
    )


def replays() -> tuple[Replay, ...]:
    """Every cycle that once failed."""
    return tuple(replay for row in found() for replay in row.replays)


def table() -> str:
    """The rows as Markdown; the test that plays all seeds again is told once, above it."""
    lines = [f"| {' | '.join(_HEADS)} |", "|" + "---|" * len(_HEADS)]
    for row in found():
        again = ", ".join(f"`{one}`" for one in row.again)
        tests = ", ".join(f"`{one}`" for one in row.tests if one != PLAYED_AGAIN)
        by = f"{row.by} ({', '.join(one.code for one in row.replays)})" if row.replays else row.by
        cells = (row.wrong, by, again, row.fix, tests)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def renewed(document: str) -> str:
    """A document with the table between its marks.

    Raises:
        ValueError: the marks are not there, once each and in order.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ValueError(f"no place for the table: it is between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main() -> None:
    """Write the table into the document."""
    DOCUMENT.write_text(renewed(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
