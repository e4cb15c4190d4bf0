"""Asking peers for what was damaged here, and answering them.

Law: one piece of at most `PIECE_BYTES` is under way at a time, each with a deadline, and all with
another; who does not answer, or little by little, is passed over for the next peer. An answer says
nothing by itself: what becomes of it is decided where it has to prove itself
(`node.store.proving`). A node answers members, with what any snapshot or page of it would hold,
never of the private lane. It spends so much of a second on one link and no more: what is asked
beyond that waits for the next second, one question a link.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import msgpack

from crdt.dot import ACTOR_BYTES, PRIVATE, NodeId
from node.errors import NodeError
from node.replication.engine import Engine
from node.store import Store
from node.store.paging import read_entry
from node.store.proving import Given, Needs
from node.store.schema import NUMBER_BYTES, Transaction, unseal
from node.store.snapshot import shared_request

TOPIC: Final = "integrity"
PIECE_BYTES: Final = 48 * 1024
_WHOLE_BYTES_MAX: Final = 64 * 1024 * 1024
_ANSWER_SECONDS: Final = 3.0
_ALL_SECONDS: Final = 300.0
_PIECES_PER_SECOND: Final = 1000
_WORK_SECONDS: Final = 0.1
_KEPT_MAX: Final = 4
_PIECES_AT_ONCE: Final = 100
_PAUSE_SECONDS: Final = 0.2
_ASK, _SAY = 0, 1
RECORD, BUNDLE, REQUEST, PENDING = b"r", b"b", b"q", b"p"
_NONE: Final = -1
_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack
Pending = Mapping[bytes, bytes]


class Piece(NamedTuple):
    """A part of an answer.

    Attributes:
        number: of the question.
        total: how many bytes all parts have; `_NONE` when there is no such thing there.
        data: this part.
    """

    number: int
    total: int
    data: bytes


class Vouching:
    """Whether two members say the same.

    Args:
        others: how many members there are besides this node.
    """

    def __init__(self, others: int) -> None:
        self._others = others
        self._said: set[tuple[NodeId, bytes]] = set()

    def heard(self, node: NodeId, given: Given) -> Given:
        """What a member said, and whether another one has said it too, or nobody else could."""
        words = given.words
        agreed = any(other != node and said == words for other, said in self._said)
        self._said.add((node, words))
        return replace(given, vouched=agreed or self._others <= 1)


class Asking:
    """Both sides of the exchange, over one engine.

    Args:
        engine: whose peers, and whose store.
        seconds: how long a peer may take for a piece.
    """

    def __init__(self, engine: Engine, *, seconds: float = _ANSWER_SECONDS) -> None:
        self._engine = engine
        self._seconds = seconds
        self._number = 0
        self._waiting: tuple[NodeId, asyncio.Future[Piece]] | None = None
        self._given: dict[int, _Share] = {}
        self._later: dict[int, list[Any]] = {}
        self._kept: dict[int, tuple[bytes, bytes, bytes]] = {}
        """By link: what it is being told piece by piece, read once; few of them."""
        engine.asides[TOPIC] = self.on_aside

    def peers(self) -> list[tuple[int, NodeId]]:
        """Links to members that may be asked, and whose they are."""
        peers = self._engine.exchange.peers.items()
        return [(link, peer.node_id) for link, peer in peers if peer.known and peer.row is not None]

    # --- asking ------------------------------------------------------------------

    async def ask(self, link: int, node: NodeId, needs: Needs) -> Given | None:
        """Fetch everything that is needed from one peer; None when it is silent or slow."""
        records: dict[bytes, bytes | None] = {}
        requests: dict[bytes, bytes | None] = {}
        bundles: dict[tuple[bytes, int], bytes] = {}
        pending: Pending | None = None
        try:
            async with asyncio.timeout(_ALL_SECONDS):
                for key in needs.shared:
                    records[key] = await self._fetch(link, node, RECORD, key)
                for scope in sorted(needs.requests):
                    requests[scope] = await self._fetch(link, node, REQUEST, scope)
                for lost in needs.bundles:
                    name = lost.actor + lost.last.to_bytes(NUMBER_BYTES, "big")
                    data = await self._fetch(link, node, BUNDLE, name)
                    if data is not None:
                        bundles[lost.actor, lost.last] = data
                if needs.pending:
                    pending = _pending(await self._fetch(link, node, PENDING, b""))
        except TimeoutError:
            return None
        return Given(records=records, pending=pending, bundles=bundles, requests=requests)

    async def _fetch(self, link: int, node: NodeId, kind: bytes, key: bytes) -> bytes | None:
        """One thing, piece by piece.

        Raises:
            TimeoutError: the peer does not answer, or not with what it began to say.
        """
        whole = bytearray()
        while True:
            piece = await self._piece(link, node, kind, key, len(whole))
            if piece.total == _NONE:
                return None
            whole += piece.data
            if len(whole) == piece.total:
                return bytes(whole)
            # All but the last piece are full: who answers byte by byte answers for ever.
            full = len(piece.data) == PIECE_BYTES
            if not full or not len(whole) < piece.total <= _WHOLE_BYTES_MAX:
                raise TimeoutError

    async def _piece(self, link: int, node: NodeId, kind: bytes, key: bytes, offset: int) -> Piece:
        self._number += 1
        number = self._number
        if not number % _PIECES_AT_ONCE:
            await asyncio.sleep(_PAUSE_SECONDS)  # so that no peer finds it too much
        answer: asyncio.Future[Piece] = asyncio.get_running_loop().create_future()
        self._waiting = (node, answer)
        question: bytes = _pack([_ASK, number, kind, key, offset])
        self._engine.send_aside(TOPIC, question, link)
        self._engine.soon()
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    piece = await answer
                    if piece.number == number:
                        return piece
                    answer = asyncio.get_running_loop().create_future()
                    self._waiting = (node, answer)
        finally:
            self._waiting = None

    # --- answering ---------------------------------------------------------------

    def on_aside(self, node: NodeId, link: int, data: bytes) -> None:
        """A member asks, or answers."""
        row = _row(data)
        if row is None:
            return
        if row[0] == _SAY and _fits(row[1:], int, int, bytes):
            waiting = self._waiting
            if waiting is not None and waiting[0] == node and not waiting[1].done():
                waiting[1].set_result(Piece(*row[1:]))
        elif (
            row[0] == _ASK
            and _fits(row[1:], int, bytes, bytes, int)
            and node in self._engine.replica.governance.now.members
        ):
            if self._share(link).used_up:
                if link not in self._later:
                    asyncio.get_running_loop().call_later(1.0, self._take_up, link)
                self._later[link] = row
            else:
                self._tell(link, *row[1:])

    def _take_up(self, link: int) -> None:
        """The second is over: answer what was asked last."""
        row = self._later.pop(link)
        if link in self._engine.exchange.peers and not self._engine.store.environment.closing:
            self._tell(link, *row[1:])

    def _tell(self, link: int, number: int, kind: bytes, key: bytes, offset: int) -> None:
        """Answer one question, and count what it took."""
        loop, share = asyncio.get_running_loop(), self._share(link)
        began = loop.time()
        try:
            found = self._found(link, kind, key, offset)
        except NodeError:
            return  # it is damaged here too: another one has it
        finally:
            share.pieces += 1
            share.seconds += loop.time() - began
        total = _NONE if found is None else len(found)
        part = b"" if found is None else found[max(offset, 0) :][:PIECE_BYTES]
        answer: bytes = _pack([_SAY, number, total, part])
        self._engine.send_aside(TOPIC, answer, link)
        self._engine.soon()

    def _found(self, link: int, kind: bytes, key: bytes, offset: int) -> bytes | None:
        """What is asked for; the pieces of one answer are of one look at the store."""
        kept = self._kept.pop(link, None)
        if offset > 0 and kept is not None and kept[:2] == (kind, key):
            found: bytes | None = kept[2]
        else:
            found = _answer(self._engine.store, kind, key)
        if found is not None and len(found) > max(offset, 0) + PIECE_BYTES:
            while len(self._kept) >= _KEPT_MAX:
                del self._kept[next(iter(self._kept))]
            self._kept[link] = (kind, key, found)
        return found

    def _share(self, link: int) -> "_Share":
        """What this link has had of this second."""
        second = self._engine.now_ms() // 1000
        self._given = {n: held for n, held in self._given.items() if held.second == second}
        return self._given.setdefault(link, _Share(second))


@dataclass(slots=True)
class _Share:
    """What one link has had of one second."""

    second: int
    pieces: int = 0
    seconds: float = 0.0

    @property
    def used_up(self) -> bool:
        return self.pieces >= _PIECES_PER_SECOND or self.seconds >= _WORK_SECONDS


def _answer(store: Store, kind: bytes, key: bytes) -> bytes | None:
    """What this store holds; None when it has none, or none that it may give."""
    tables = store.tables
    if kind == PENDING:
        rows = store.load_pending()
        packed: bytes = _pack({key: body for key, body in rows.items() if key[:1] != PRIVATE})
        return packed
    if kind == REQUEST and key:
        value = store.environment.read(lambda txn: txn.get(key, db=tables.idempotency))
        shared = None if value is None else shared_request(key, value)
        return None if shared is None else unseal("idempotency", key, shared)
    if not key or key[:1] == PRIVATE:
        return None
    if kind == RECORD:
        return store.record(key)
    if kind == BUNDLE and len(key) == ACTOR_BYTES + NUMBER_BYTES:
        actor, last = key[:ACTOR_BYTES], int.from_bytes(key[ACTOR_BYTES:], "big")

        def look(txn: Transaction) -> bytes | None:
            at = txn.get(key, db=tables.log_index)
            return None if at is None else read_entry(txn, tables, at, actor, last).data

        return store.environment.read(look)
    return None


def _pending(data: bytes | None) -> Pending | None:
    row: Any = None if data is None else _unpacked(data)
    if not isinstance(row, dict):
        return None
    return {k: v for k, v in row.items() if isinstance(k, bytes) and isinstance(v, bytes)}


def _unpacked(data: bytes) -> Any:
    try:
        return msgpack.unpackb(data)
    except (ValueError, TypeError):
        return None


def _row(data: bytes) -> list[Any] | None:
    row = _unpacked(data)
    return row if isinstance(row, list) and row else None


def _fits(parts: list[Any], *kinds: type) -> bool:
    return len(parts) == len(kinds) and all(
        type(part) is kind and (type(part) is not int or -1 <= part < 2**62)
        for part, kind in zip(parts, kinds, strict=True)
    )
