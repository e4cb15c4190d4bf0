"""How fast recall is with many records, in this process.

Law: records are made of a seed, so every run sees the same; words are drawn as a language
draws them (Zipf), so common words are as common as they are. Nothing of any data set is used.
"""

import random
import resource
import sys
import time
import uuid
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from node.recall.lexical import Lexical
from node.recall.neighbours import POOL, Neighbours
from node.recall.values import Change, Document, Filters

_SEED: Final = 20_240_817
_VOCABULARY: Final = 30_000
_WORDS: Final = 25
_SESSION: Final = 40
_SPEAKERS: Final = 400
_SPACES: Final = 50
_QUESTIONS: Final = 400
_ASKED_WORDS: Final = 8
_BATCH: Final = 5000
_BORN_MS: Final = 1_700_000_000_000
_TURN_MS: Final = 20_000
_LETTERS: Final = "aeioubcdfghlmnprstvz"


def speed(folder: Path, records: int) -> dict[str, Any]:
    """Times in milliseconds of questions over so many records, in one namespace and in all."""
    rng = random.Random(_SEED)
    words = ["".join(rng.choices(_LETTERS, k=rng.randint(3, 9))) for _ in range(_VOCABULARY)]
    weights = list(accumulate(1 / (rank + 3) for rank in range(_VOCABULARY)))
    lexical, neighbours = Lexical(folder / "lexical"), Neighbours(folder / "order")
    began = time.perf_counter()
    batch: list[Change] = []
    for change in _records(rng, words, weights, records):
        batch.append(change)
        if len(batch) >= _BATCH:
            _give(lexical, neighbours, batch)
            batch = []
    _give(lexical, neighbours, batch)
    built = time.perf_counter() - began
    questions = [
        " ".join(rng.choices(words, cum_weights=weights, k=_ASKED_WORDS)) for _ in range(_QUESTIONS)
    ]
    out: dict[str, Any] = {"records": records, "build_seconds": round(built, 1)}
    for name, namespace in (("everywhere", None), ("one namespace", "space-1")):
        filters = Filters(reader="", now_ms=0, namespace=namespace)
        wall: dict[str, list[float]] = {"lexical": [], "with neighbours": []}
        busy: dict[str, list[float]] = {"lexical": [], "with neighbours": []}
        for question in questions:
            began, used = time.perf_counter(), time.thread_time()
            hits = lexical.find(question, filters, POOL)
            _note(wall["lexical"], busy["lexical"], began, used)
            neighbours.spread(hits, question, POOL)
            _note(wall["with neighbours"], busy["with neighbours"], began, used)
        out[name] = {
            way: {"ms": percentiles(wall[way]), "cpu_ms": percentiles(busy[way])} for way in wall
        }
    unit = 1 if sys.platform == "darwin" else 1024
    out["resident_mib_max"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20
    neighbours.close()
    lexical.close()
    return out


def _note(wall: list[float], busy: list[float], began: float, used: float) -> None:
    """Milliseconds that passed, and those that this thread worked."""
    wall.append(1000 * (time.perf_counter() - began))
    busy.append(1000 * (time.thread_time() - used))


def percentiles(values: list[float]) -> dict[str, float]:
    """Median and the 99th of a hundred."""
    ranked = sorted(values)
    return {
        "p50": round(ranked[len(ranked) // 2], 2),
        "p99": round(ranked[len(ranked) * 99 // 100], 2),
    }


def _give(lexical: Lexical, neighbours: Neighbours, batch: list[Change]) -> None:
    for engine in (lexical, neighbours):
        engine.take(batch)
        engine.flush()


def _records(
    rng: random.Random, words: list[str], weights: list[float], count: int
) -> Iterator[Change]:
    for at in range(count):
        ident = str(uuid.UUID(int=rng.getrandbits(128)))
        session = at // _SESSION
        text = " ".join(rng.choices(words, cum_weights=weights, k=_WORDS))
        yield Change(
            f"d{ident}",
            Document(
                key=f"d{ident}",
                id=ident,
                namespace=f"space-{session % _SPACES}",
                owner="bench",
                title=f"turn {at}",
                content=text + ("?" if at % 3 == 0 else "."),
                metadata={"speaker": words[-1 - rng.randrange(_SPEAKERS)]},
                session=f"session {session}",
                created_ms=_BORN_MS + at * _TURN_MS,
            ),
        )
