"""`documents`: how many edits a second, what opening a document takes, and what an edit weighs.

Law: edits go over HTTP into a mesh of three with W = 2, as agents send them: eight characters at
the end of a text. Opening is measured in this process, from what a record holds to the value in
JSON, cold (nothing is known of it) and warm (one change more than last time), for documents that
people have typed: words at the end, and now and then in the middle. Reading over HTTP is measured
where the document is open, as it is after its first reader.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from crdt.document.change import read_change
from crdt.document.chunk import split_chunks
from crdt.document.gathering import gather, seed_change
from crdt.document.model import DocumentLimits, Stored
from crdt.document.opened import Document
from crdt.document.pack import Kept, pack
from crdt.dot import DATA, Dot, new_actor
from crdt.fields import CHUNK_MARK
from node.documents.shelf import name_of
from tests.benchmarks.lookups import Client
from tests.benchmarks.measure import loaded
from tests.benchmarks.mesh import Mesh, Node, drive, running
from tests.benchmarks.scale import Line, Scale
from tests.benchmarks.shapes import DOCUMENTS, document_id

_LIMITS: Final = DocumentLimits()
_LENGTHS: Final = {"tiny": (10, 50)}
_LENGTHS_ELSE: Final = (10, 100, 1_000)
_TIMES: Final = {"tiny": 3, "quick": 20, "bench": 100, "full": 300}
_SHORT: Final = {"tiny": 50, "quick": 200, "bench": 200, "full": 200}
_ACTOR: Final = new_actor(DATA, 1_770_000_000, bytes(8), bytes(32))
_UNFOLDED_EDITS: Final = 16
"""After so many more the node folds whether or not the absent member has the changes."""
_WORDS: Final = ("peers ", "agree ", "on what ", "was ", "written ", "and ", "when. ")


def documents(folder: Path, scale: Scale) -> Iterator[Line]:
    """All of it."""
    tag = {"bench": "documents"}
    for length in _LENGTHS.get(scale.name, _LENGTHS_ELSE):
        for load, line in _opening(length, _TIMES[scale.name]):
            yield {**tag, "load": load, "items": length, **line}
    with running(folder / "mesh") as mesh:
        for line in _edits(mesh, scale):
            yield {**tag, **line}
    with running(folder / "away") as mesh:
        yield {**tag, **_unfolded(mesh, _SHORT[scale.name])}


# --- edits over HTTP ------------------------------------------------------------------------


def _edits(mesh: Mesh, scale: Scale) -> Iterator[Line]:
    node = mesh.nodes[0]
    for clients in (1, 16):
        with closing(Client(node)) as client:
            ident = _made(client, clients)
        told = loaded(mesh, scale, kind="edit", clients=clients, id=ident)
        yield {"load": "edits of one document", "clients": clients, **told}
        yield {"load": "bytes of an edit", "clients": clients, **_weight(node, ident)}
        read = drive(
            node,
            kind="ping",
            path=f"/api/v1/memories/{ident}/document",
            clients=1,
            requests=_TIMES[scale.name],
        )
        latency = {name: read[name] for name in ("p50_ms", "p99_ms", "max_ms")}
        yield {"load": "reads of one document over HTTP", "clients": clients, **latency}
    with closing(Client(node)) as client:
        many = [_body(document_id(number)) for number in range(DOCUMENTS)]
        client.post("/memories/bulk", many)
    mesh.settle()
    told = loaded(mesh, scale, kind="edits", clients=16)
    yield {"load": f"edits over {DOCUMENTS} documents", "clients": 16, **told}


def _unfolded(mesh: Mesh, edits: int) -> Line:
    """Edits of a document that has not been folded, for a member that is away lacks its changes."""
    node = mesh.nodes[0]
    with closing(Client(node)) as client:
        ident = _made(client, 0)
    mesh.settle()
    mesh.stop(mesh.nodes[2])
    drive(node, kind="edit", id=ident, clients=8, requests=edits)
    told = drive(node, kind="edit", id=ident, clients=1, requests=_UNFOLDED_EDITS)
    latency = {name: told[name] for name in ("p50_ms", "p99_ms", "max_ms")}
    mesh.start(mesh.nodes[2])
    mesh.settle()
    return {
        "load": "edits of one document, unfolded",
        "items": edits,
        "driver": "own",
        "ops_per_second": told["per_second"],
        **latency,
    }


def _body(ident: str) -> dict[str, Any]:
    return {"id": ident, "title": "a document", "content": "Agenda. ", "memory_kind": "document"}


def _made(client: Client, number: int) -> str:
    return str(client.post("/memories", _body(f"one-{number}"))["id"])


def _weight(node: Node, ident: str) -> Line:
    """What the changes that the node made weigh, as they are and in one pack."""
    told = json.loads(node.ask(f"/api/v1/memories/{ident}/document/history?limit=1000"))
    agents = {row["hash"]: row["agent_id"] for row in told["history"]}
    data = _changes(node, ident)
    kept = [
        Kept(change, agents.get(change.hash.hex(), "bench"), place << 16)
        for place, change in enumerate(
            read_change(chunk, _LIMITS) for chunk in split_chunks(data, _LIMITS)
        )
    ]
    return {
        "changes": len(kept),
        "bytes_per_edit_alone": round(len(data) / len(kept), 1),
        "bytes_per_edit_folded": round(len(pack(kept)) / len(kept), 2),
    }


def _changes(node: Node, ident: str) -> bytes:
    """All changes of a document, as an Automerge library would fetch them."""
    return node.ask(
        f"/api/v1/memories/{ident}/document", headers={"accept": "application/vnd.automerge"}
    )


# --- opening, in this process ---------------------------------------------------------------


def typed(changes: int, seed: int = 1) -> list[Kept]:
    """A document of one text that three people typed, change by change; deterministic."""
    rng = random.Random(seed)
    kept = [Kept(seed_change("bench", "Agenda. ", _LIMITS), "ai:bench", 0)]
    gathered = gather(_singles(kept), _LIMITS)
    document = Document.opened(gathered)
    last: dict[bytes, int] = {}
    while len(kept) < changes:
        actor = rng.randrange(3).to_bytes(16, "big")
        word = {"op": "splice", "path": ["text"], "insert": rng.choice(_WORDS)}
        if rng.random() < 0.2:
            word["index"] = rng.randint(0, len(document.text()))
        seq = last[actor] = last.get(actor, 0) + 1
        change = document.edited([word], actor=actor, seq=seq, time=1_770_000_000, message=None)
        kept.append(Kept(change, "ai:bench", len(kept) << 16))
        gathered = gathered.grown(_singles(kept))
        document = document.grown(gathered)
    return kept


def _singles(kept: list[Kept]) -> list[Stored]:
    return [
        Stored(
            CHUNK_MARK + one.change.hash.hex(),
            one.change.data,
            one.agent,
            one.hlc,
            Dot(_ACTOR, place),
        )
        for place, one in enumerate(kept, 1)
    ]


def _packed(kept: list[Kept]) -> list[Stored]:
    data = pack(kept)
    return [Stored(CHUNK_MARK + name_of(data), data, "ai:bench", 0, Dot(_ACTOR, 1))]


def _opening(changes: int, times: int) -> Iterator[tuple[str, Line]]:
    kept = typed(changes)
    for form, stored in (("singles", _singles(kept)), ("a pack", _packed(kept))):
        yield f"opening, cold, {form}", _timed(times, lambda stored=stored: _shown(stored))
    before = gather(_singles(kept[:-1]), _LIMITS)
    after = _singles(kept)

    def prepared() -> Callable[[], object]:
        document = Document.opened(before)
        document.value()
        return lambda: document.grown(before.grown(after)).value()

    yield "opening, warm, one change more", _timed(times, prepared, made=True)


def _shown(stored: list[Stored]) -> object:
    return Document.opened(gather(stored, _LIMITS)).value()


def _timed(times: int, run: Callable[[], Any], *, made: bool = False) -> Line:
    """Milliseconds of a run; with `made` it gives what is to be timed, and takes no part in it."""
    took = []
    for _ in range(times):
        timed = run() if made else run
        began = time.perf_counter()
        timed()
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    at = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}
    return {name: round(took[min(int(times * share), times - 1)], 3) for name, share in at.items()}
