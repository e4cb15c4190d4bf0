"""Ways to rank turns: plain BM25, each engine by itself, their fusion, and a running node.

Law: every way sees the same turns and ranks within the conversation that is asked about. A
node is started and asked as an operator would: over HTTP, by its own commands.
"""

import json
import math
import re
import time
import urllib.request
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from node.recall.beside import WEIGHTS
from node.recall.fusion import fuse
from node.recall.fuzzy import HashedGrams
from node.recall.lexical import Lexical
from node.recall.neighbours import POOL, Neighbours
from node.recall.values import Change, Document, Filters, Hit
from node.recall.vectors import VectorEngine
from tests.benchmarks.mesh import BenchmarkError, Node, running
from tests.benchmarks.recall_data import Question, Turn

Way = Callable[[Question], Sequence[str]]
"""Ids of turns for a question, best first."""

LIMIT: Final = 50
_BULK: Final = 500
_K1: Final = 1.2
_B: Final = 0.75
_BORN_MS: Final = 1_700_000_000_000
_INDEX_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_WORD: Final = re.compile(r"\w+")


def plain(turns: Sequence[Turn]) -> Way:
    """BM25 over lower-case words of `speaker: text`, nothing else."""
    lengths: dict[int, int] = {}
    postings: dict[str, dict[int, int]] = defaultdict(dict)
    for at, turn in enumerate(turns):
        words = _WORD.findall(f"{turn.speaker}: {turn.text}".lower())
        lengths[at] = len(words)
        for word, count in Counter(words).items():
            postings[word][at] = count
    mean = sum(lengths.values()) / max(len(lengths), 1)

    def find(question: Question) -> Sequence[str]:
        scores: dict[int, float] = defaultdict(float)
        for word in _WORD.findall(question.text.lower()):
            held = postings.get(word, {})
            rare = math.log(1 + (len(turns) - len(held) + 0.5) / (len(held) + 0.5))
            for at, count in held.items():
                norm = _K1 * (1 - _B + _B * lengths[at] / mean)
                scores[at] += rare * count * (_K1 + 1) / (count + norm)
        best = sorted(scores, key=lambda at: -scores[at])
        return [turns[at].id for at in best if turns[at].conversation == question.conversation]

    return find


def document_of(turn: Turn, at: int) -> Document:
    """A turn as engines see it."""
    ident = str(uuid.UUID(int=at + 1))
    return Document(
        key=f"d{ident}",
        id=ident,
        namespace=turn.conversation,
        owner="bench",
        title=turn.id,
        content=turn.text,
        metadata=turn.metadata,
        speaker=turn.speaker,
        session=turn.metadata["session_id"],
        created_ms=_BORN_MS + at,
    )


@contextmanager
def engines(turns: Sequence[Turn], folder: Path) -> Iterator[dict[str, Way]]:
    """Every engine by itself and with others, in this process."""
    lexical = Lexical(folder / "lexical")
    neighbours = Neighbours(folder / "order")
    fuzzy = VectorEngine(folder / "vectors", HashedGrams(), lexical.snapshot)
    documents = [document_of(turn, at) for at, turn in enumerate(turns)]
    changes = [Change(document.key, document) for document in documents]
    ids = {document.key: turn.id for document, turn in zip(documents, turns, strict=True)}
    for engine in (lexical, neighbours, fuzzy):
        engine.take(changes)
        engine.flush()

    def words(question: Question) -> Sequence[Hit]:
        return lexical.find(question.text, _filters(question), POOL)

    def spread(question: Question) -> Sequence[Hit]:
        return neighbours.spread(words(question), question.text, POOL)

    def likeness(question: Question) -> Sequence[Hit]:
        return fuzzy.find(question.text, _filters(question), POOL)

    def fused(question: Question) -> Sequence[Hit]:
        return fuse([(spread(question), 1.0), (likeness(question), WEIGHTS["fuzzy"])])

    def way(find: Callable[[Question], Sequence[Hit]]) -> Way:
        return lambda question: [ids[hit.key] for hit in find(question)[:LIMIT]]

    try:
        yield {
            "lexical": way(words),
            "lexical + neighbours": way(spread),
            "fuzzy": way(likeness),
            "all fused": way(fused),
        }
    finally:
        for engine in (fuzzy, neighbours, lexical):
            engine.close()


@contextmanager
def node(turns: Sequence[Turn], folder: Path, engine: str) -> Iterator[Way]:
    """A running node that was given the turns as memories, asked over HTTP."""
    setting = {"MNEMESH_EMBEDDINGS_ENGINE": engine}
    with running(folder, nodes=1, writes=1, environment=setting) as mesh:
        one = mesh.nodes[0]
        for at in range(0, len(turns), _BULK):
            _post(one, "/api/v1/memories/bulk", [_memory(turn) for turn in turns[at : at + _BULK]])
        wait_for(one)

        def find(question: Question) -> Sequence[str]:
            asked = {"context": question.text, "namespace": question.conversation, "limit": LIMIT}
            told = _post(one, "/api/v1/recall", asked)
            return [memory["title"] for memory in told["memories"]]

        yield find


def _filters(question: Question) -> Filters:
    return Filters(reader="", now_ms=0, namespace=question.conversation)


def _memory(turn: Turn) -> dict[str, Any]:
    return {
        "title": turn.id,
        "content": turn.text,
        "namespace": turn.conversation,
        "tier": "long",
        "metadata": turn.metadata,
    }


def _post(one: Node, path: str, body: object) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - our own loopback URL
        one.url + path,
        data=json.dumps(body).encode(),
        headers={"X-Api-Key": one.key, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
        told: dict[str, Any] = json.loads(answer.read())
    return told


def wait_for(one: Node) -> None:
    deadline = time.monotonic() + _INDEX_SECONDS
    while True:
        told = json.loads(one.ask("/api/v1/index"))
        if not told["lag_ops"] and not told["waiting"] and told["state"] == "ready":
            return
        if time.monotonic() > deadline:
            raise BenchmarkError(f"the index did not become level: {told}")
        time.sleep(_POLL_SECONDS)
