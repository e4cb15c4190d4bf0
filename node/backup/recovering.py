"""What a restored node may not do yet, and what ends that.

Law: a node whose store was restored reads, and mints nothing for anybody, until it has pulled.
That is: a ready member is linked that is not restored itself, no linked member is ahead of
this node's disk, and by what it has then it is a member: a store that was restored under another
key joins first. When every other member is linked, says that it was restored too, and has the
very clock of this disk, then all there is has been joined, and there is nobody else to ask. A
member alone in its mesh has nothing to pull; an operator may say that a node is the one to
begin from. The note on the disk outlives the process, so a restart changes nothing of this.

Whether a peer was restored it says itself, when asked (`TOPIC`). A version that knows no such
question was never restored so; it does not answer, and is believed when it goes on talking.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from crdt.clock import shared
from crdt.dot import NodeId
from crdt.peer import Peer
from node.backup.notes import Restored, forget_restored, note_restored, recovering
from node.founding import read_join_note
from node.ground import Ground
from node.logs import EventLog
from node.replication.engine import Engine

TOPIC: Final = "recovering"
_ASK: Final = b"?"
_YES: Final = b"1"
_NO: Final = b"0"
_SILENT_MS: Final = 5_000

Record = Callable[..., None]


class Recovery:
    """Watches over a node that may have been restored.

    Args:
        engine: the replicated side.
        data_dir: where the note lies.
        log: writes events.
        record: writes entries of the chain of events.
    """

    def __init__(self, *, engine: Engine, data_dir: Path, log: EventLog, record: Record) -> None:
        self._engine = engine
        self._data_dir = data_dir
        self._log = log
        self._asked: dict[int, int] = {}
        self._said: dict[int, bool] = {}
        engine.asides[TOPIC] = self.on_aside
        note = self._begin(record)
        engine.readiness.recovering = note is not None
        if note is not None and note.founder:
            self._end("founder")

    def _begin(self, record: Record) -> Restored | None:
        """Take up the note; one of a restore that died before its swap is void."""
        note = recovering(self._data_dir)
        if note is None:
            return None
        if not note.begun and self._engine.store.path.name != note.store:
            forget_restored(self._data_dir)
            return None
        if not note.told:
            record(
                "restored",
                backup=note.backup,
                of_node=note.of_node,
                verified=note.verified,
                founder=note.founder,
                store=self._engine.store.store_id,
            )
        note_restored(self._data_dir, replace(note, begun=True, told=True))
        self._log(
            "store_restored", backup=note.backup, verified=note.verified, founder=note.founder
        )
        return note

    # --- what peers say ------------------------------------------------------------

    def on_aside(self, _node: NodeId, link: int, data: bytes) -> None:
        """A peer asks whether this node was restored, or says it of itself."""
        if data == _ASK:
            self._tell(_YES if self._engine.readiness.recovering else _NO, link)
        elif data in {_YES, _NO} and self._engine.readiness.recovering:  # else nobody looks
            self._said[link] = data == _YES

    def _tell(self, data: bytes, link: int | None = None) -> None:
        self._engine.send_aside(TOPIC, data, link)
        self._engine.soon()

    def _is_restored(self, link: int, peer: Peer) -> bool | None:
        """Whether a linked peer was restored, too; None while that is not known."""
        said = self._said.get(link)
        if said is not None:
            return said
        asked_ms = self._asked.get(link)
        if asked_ms is None:
            self._asked[link] = self._engine.now_ms()
            self._tell(_ASK, link)
            return None
        return False if peer.heard_ms - asked_ms > _SILENT_MS else None

    # --- looking -------------------------------------------------------------------

    def watch(self) -> None:
        """See whether this node has pulled; cheap, meant for every half second."""
        if not self._engine.readiness.recovering:
            return
        there = self._engine.exchange.peers
        for kept in (self._asked, self._said):
            for link in kept.keys() - there.keys():
                del kept[link]
        how = self._pulled()
        if how:
            self._end(how)

    def _pulled(self) -> str:
        """How this node came to have what there is; empty while it may lack something."""
        engine = self._engine
        exchange, me = engine.exchange, engine.me.node_id
        state = engine.replica.governance.now
        if exchange.catchup.joining:
            return ""
        others = self._others()
        if not others:
            return "alone"
        if me not in state.members:
            return ""
        ready = {
            link: peer
            for link, peer in exchange.peers.items()
            if peer.row is not None
            and peer.known
            and not peer.stopped
            and peer.node_id != me
            and peer.node_id in state.ready
        }
        if not ready or any(peer.is_ahead(exchange.durable) for peer in ready.values()):
            return ""
        restored = {peer.node_id: self._is_restored(link, peer) for link, peer in ready.items()}
        if False in restored.values():
            return "pulled"
        mine = shared(exchange.durable)
        equal = all(peer.row == mine for peer in ready.values())
        everybody = others <= {node.hex() for node in restored} and all(restored.values())
        return "joined" if equal and everybody else ""

    def _others(self) -> set[str]:
        """Everybody else who is a member, by the store or by the note that is kept beside it.

        A store of long ago may not know of members whom this node knew when it was restored.
        """
        me = self._engine.me.node_id
        members = self._engine.replica.governance.now.members
        others = {node.hex() for node in members if node != me}
        note = read_join_note(self._data_dir / "join.json")
        if not others and note is not None and note.urls:
            return set(note.urls)
        return others

    def _end(self, how: str) -> None:
        forget_restored(self._data_dir)
        self._engine.readiness.recovering = False
        self._log("store_recovered", how=how)
        if how != "founder":  # then there are no links yet
            self._tell(_NO)


def open_recovery(ground: Ground, engine: Engine, record: Record) -> Recovery:
    """The watch over a node's store, composed."""
    return Recovery(
        engine=engine,
        data_dir=ground.settings.paths.data_dir,
        log=ground.log,
        record=record,
    )
