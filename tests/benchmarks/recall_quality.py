"""`python -m tests.benchmarks.recall_quality`: how well recall answers, and how fast.

Law: the figures come from what ships, and a plain BM25 stands beside them in the same run. The
data is not part of the project: name it with --data, in MNEMESH_LOCOMO, or have it beside the
project as `shared/data/locomo-dev.jsonl`. Without it only speed is measured.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.benchmarks import recall_ways as ways
from tests.benchmarks.recall_data import Quality, Question, Turn, by_category, read
from tests.benchmarks.recall_speed import percentiles, speed

_BESIDE: Final = Path(__file__).parents[3] / "shared" / "data" / "locomo-dev.jsonl"
_NAMED_BY: Final = "MNEMESH_LOCOMO"
_PLAIN: Final = "plain BM25"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.recall_quality")
    parser.add_argument("--data", type=Path, help="the conversations, JSON lines")
    parser.add_argument("--records", type=int, default=200_000, help="for speed; 0 leaves it out")
    parser.add_argument("--no-node", action="store_true", help="engines alone, no running node")
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    return parser.parse_args()


def _data(asked: Path | None) -> Path | None:
    """Where the conversations are; None when they are nowhere."""
    if asked is not None:
        return asked
    named = os.environ.get(_NAMED_BY)
    if named:
        return Path(named)
    return _BESIDE if _BESIDE.exists() else None


def measure(way: ways.Way, questions: Sequence[Question]) -> tuple[dict[str, Quality], list[float]]:
    """Quality by category, and milliseconds a question."""
    answers, times = [], []
    for question in questions:
        began = time.perf_counter()
        ranking = way(question)
        times.append(1000 * (time.perf_counter() - began))
        answers.append((question, ranking))
    return by_category(answers), times


def _all_ways(
    turns: Sequence[Turn], folder: Path, held: ExitStack, *, with_node: bool
) -> Iterator[tuple[str, ways.Way]]:
    yield _PLAIN, ways.plain(turns)
    yield from held.enter_context(ways.engines(turns, folder / "engines")).items()
    if with_node:
        for engine, name in (("off", "node, keyword"), ("fuzzy", "node, hybrid")):
            yield name, held.enter_context(ways.node(turns, folder / engine, engine))


def quality(data: Path, folder: Path, *, with_node: bool) -> Iterator[dict[str, Any]]:
    """One row a way and category."""
    turns, questions = read(data)
    with ExitStack() as held:
        for name, way in _all_ways(turns, folder, held, with_node=with_node):
            found, times = measure(way, questions)
            for category, one in found.items():
                yield {
                    "way": name,
                    "category": category,
                    "questions": one.questions,
                    **{f"any@{k}": round(value, 3) for k, value in one.any_at.items()},
                    **{f"all@{k}": round(value, 3) for k, value in one.all_at.items()},
                    "mrr": round(one.mrr, 3),
                    **(
                        {f"{k}_ms": v for k, v in percentiles(times).items()}
                        if category == "all"
                        else {}
                    ),
                }


def _times(times: list[float]) -> dict[str, float]:
    return {f"{name}_ms": value for name, value in percentiles(times).items()}


def _tables(rows: list[dict[str, Any]]) -> None:
    console = Console()
    columns = ("way", "any@5", "any@10", "all@5", "all@10", "mrr", "p50_ms", "p99_ms")
    for category in dict.fromkeys(row["category"] for row in rows):
        chosen = [row for row in rows if row["category"] == category]
        table = Table(title=f"{category}, {chosen[0]['questions']} questions")
        shown = [name for name in columns if name in chosen[0]]
        for name in shown:
            table.add_column(name, justify="left" if name == "way" else "right")
        for row in chosen:
            table.add_row(*(str(row[name]) for name in shown))
        console.print(table)


def main() -> int:
    """Measure what was asked for."""
    asked = _arguments()
    data = _data(asked.data)
    if data is not None and not data.is_file():
        print(f"{data} is not there: name the conversations with --data", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="mnemesh-recall-") as name:
        folder = Path(name)
        if data is None:
            print(f"no conversations: name them with --data or {_NAMED_BY}", file=sys.stderr)
            rows = []
        else:
            rows = list(quality(data, folder, with_node=not asked.no_node))
        fast = speed(folder / "speed", asked.records) if asked.records else {}
    if asked.json:
        print(json.dumps({"quality": rows, "speed": fast}, indent=2))
        return 0
    _tables(rows)
    if fast:
        print(json.dumps(fast, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
