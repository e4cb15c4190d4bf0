"""Documents: several clients edit one text, list, map and counter from all nodes at once.

Law: each edit brings a token that nobody else writes, and names by `heads` the document that its
author saw, so that its place means what the author meant. A request that was not answered is sent
again with its key, to any node: it names its heads, so it is one edit whoever takes it. One that
names none goes to the node that had it first. Every try is an operation of its own.

The first document of a cycle has nothing but its text from the start: whoever edits first makes
it a document of changes, on two sides of a cut perhaps. The second has a list, a map and a counter.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from chaos.history import Reply, Stage
from chaos.workloads.document_edits import Edit, drawn, heads_of, shown
from chaos.workloads.final import write_final
from chaos.workloads.play import Pace, Player, play

_EDITS_MAX: Final = 250
"""Of one document; then there is another. Enough for folding, few enough for a history."""
_LOOK_SHARE: Final = 0.1
_AGAIN_SHARE: Final = 0.1
_TRIES_MAX: Final = 3
_SET_UP: Final[list[dict[str, Any]]] = [
    {"op": "put", "path": ["list"], "value": []},
    {"op": "put", "path": ["map"], "value": {}},
    {"op": "put", "path": ["count"], "value": 0, "type": "counter"},
]


@dataclass(slots=True, kw_only=True)
class Written:
    """A document that clients know of.

    Attributes:
        plain: it has nothing but its text.
        edits: that were asked for.
    """

    id: str
    plain: bool
    edits: int = 0

    @property
    def path(self) -> str:
        """Of the memory."""
        return f"/memories/{quote(self.id, safe='')}"


@dataclass(kw_only=True)
class DocumentWorkload:
    """See the module."""

    name: str = "document"
    pace: Pace = field(default_factory=Pace)
    _known: list[Written] = field(default_factory=list)
    _making: bool = False

    async def run(self, stage: Stage) -> None:
        """Create, look and edit until cancelled."""
        self._known.clear()
        self._making = False

        def client(player: Player) -> Callable[[], Awaitable[None]]:
            async def step() -> None:
                open_ = [each for each in self._known if each.edits < _EDITS_MAX]
                lacking = next(
                    (p for p in (True, False) if all(each.plain != p for each in open_)), None
                )
                if lacking is not None and not self._making:
                    await self._create(player, plain=lacking)
                elif open_:
                    await _turn(player, player.rng.choice(open_))

            return step

        await play(stage, self.pace, client)

    async def _create(self, player: Player, *, plain: bool) -> None:
        self._making = True
        try:
            document = await _created(player, plain=plain)
            if document is not None:
                self._known.append(document)
        finally:
            self._making = False

    async def final(self, stage: Stage) -> None:
        """Read all nodes."""
        await write_final(stage)


async def _created(player: Player, *, plain: bool) -> Written | None:
    token = player.fresh()
    document = Written(id=f"w-{token}", plain=plain)
    body = {
        "id": document.id,
        "title": f"document {document.id}",
        "content": f"[{token}]",
        "memory_kind": "document",
        "namespace": player.stage.namespace,
    }
    args = {"document": document.id, "token": token}
    reply = await player.write("create", player.node(), "POST", "/memories", body, args=args)
    if reply.outcome != "ok":
        return None
    if plain:
        return document
    # Two of a kind would be rivals, and what is in the one that loses would not show: one request
    # makes them, and nobody else knows of the document before it is acknowledged.
    node = player.node()
    reply, seen = await _look(player, document, node)
    if "text" not in seen:
        return None
    edit = Edit(kind="set_up", ops=_SET_UP, heads=heads_of(reply.body), args={})
    return document if await _sent(player, document, node, edit) else None


async def _turn(player: Player, document: Written) -> None:
    """Look at a document and, nearly always, edit what was seen."""
    node = player.node()
    reply, seen = await _look(player, document, node)
    if "text" not in seen or player.rng.random() < _LOOK_SHARE:
        return
    document.edits += 1
    edit = drawn(player, reply.body)
    if edit.whole is None:
        await _sent(player, document, node, edit)
        return
    await player.write(
        "edit",
        node,
        "PUT",
        document.path,
        {"content": edit.whole},
        headers={"If-Match": reply.headers.get("etag", "")},
        args={**_of(document), "way": edit.kind, **edit.args},
    )


async def _sent(player: Player, document: Written, node: int, edit: Edit) -> bool:
    """Send an edit until it is answered, or was tried often enough; whether it is acknowledged."""
    key = f"k-{player.fresh()}"
    acknowledged = False
    for tried in range(_TRIES_MAX):
        reply = await _try(player, document, node, key, edit)
        acknowledged = acknowledged or reply.outcome == "ok"
        again = player.rng.random() < _AGAIN_SHARE
        if (reply.outcome != "info" and not again) or tried == _TRIES_MAX - 1:
            break
        node = node if edit.heads is None else player.node()
    return acknowledged


async def _try(player: Player, document: Written, node: int, key: str, edit: Edit) -> Reply:
    body: dict[str, Any] = {"ops": edit.ops}
    if edit.heads is not None:
        body["heads"] = edit.heads
    return await player.write(
        "edit",
        node,
        "PATCH",
        f"{document.path}/document",
        body,
        headers={"Idempotency-Key": key},
        args={**_of(document), "way": edit.kind, "key": key, **edit.args},
    )


async def _look(player: Player, document: Written, node: int) -> tuple[Reply, Mapping[str, object]]:
    return await player.read(node, f"{document.path}/document", shown, args=_of(document))


def _of(document: Written) -> Mapping[str, object]:
    return {"document": document.id}
