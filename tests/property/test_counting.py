"""What is counted step by step is what a recount gives: distinct members on present links."""

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt import messages as m
from crdt.clock import Clock, shared
from crdt.dot import Actor
from crdt.exchange import Exchange
from crdt.peer import Outbox
from tests.unit.crdt.rig import Node, Side, mesh, node_of

NAMES = ("a", "b", "c", "d", "e")
DIGEST = bytes(16)
# Who, over which of two links, and how far behind: a new link ends the old one and its claims.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["up", "ack", "ack", "ack", "ack", "down", "write"]),
        st.integers(1, 4),
        st.sampled_from([0, 0, 0, 1]),
        st.integers(0, 8),
    ),
    max_size=40,
)


class Desk:
    """The exchange of `a`, and peers that say what they are told to."""

    def __init__(self, wanted: int | None) -> None:
        self.node: Node = mesh(*NAMES)[0]
        self.side = Side(self.node)
        self.exchange: Exchange = self.side.exchange
        self.exchange.wanted_w = wanted
        self.rows: dict[int, tuple[str, int]] = {}
        self.minted = 0
        self.write()
        for who in range(1, len(NAMES)):
            self.up(2 * who, NAMES[who])

    @property
    def actor(self) -> Actor:
        return self.node.replica.own[b"d"]

    def up(self, link: int, name: str) -> None:
        """A link opens and ends the older one of its node; it claims nothing of this line."""
        older = [other for other, (whose, _) in self.rows.items() if whose == name]
        if link in older:
            self.down(link)
        self.exchange.link_up(link, node_of(name), name, Outbox())
        clock: Clock = {a: n for a, n in shared(self.exchange.durable).items() if a != self.actor}
        self._say(link, m.Hello({}, {}, joined=True, now_ms=self.node.now_ms))
        self._say(link, m.Ack(clock, DIGEST))
        for other in older:
            self.down(other)
        self.rows[link] = (name, 0)

    def down(self, link: int) -> None:
        if self.rows.pop(link, None) is not None:
            self.exchange.link_down(link)

    def ack(self, link: int, seq: int) -> None:
        """Assigned, never the larger: a node that lost its disk says less than before."""
        if link in self.rows and seq:
            self._say(link, m.Ack({self.actor: seq}, DIGEST))
            name, before = self.rows[link]
            self.rows[link] = (name, max(before, seq))

    def _say(self, link: int, message: m.Message) -> None:
        self.exchange.receive(link, m.encode(message))

    def write(self) -> None:
        """Three more on the disk."""
        for _ in range(3):
            self.minted += 1
            self.node.create(f"r{self.minted}")
            self.side.commit()

    def recount(self) -> int:
        """The deliberately dumb twin: sorts what each member said on the link it has."""
        best: Mapping[str, int] = {
            name: max(seq for other, seq in self.rows.values() if other == name)
            for name, _ in self.rows.values()
        }
        needed = self.node.replica.governance.now.quorum(self.exchange.wanted_w)
        own = self.exchange.durable.get(self.actor, 0)
        held = sorted([own, *(min(seq, own) for seq in best.values())], reverse=True)
        return min(own, held[needed - 1]) if len(held) >= needed else 0


@given(STEPS, st.sampled_from([None, 2, 4, 5]))
@settings(max_examples=200, deadline=None)
def test_a_count_is_what_a_recount_gives(
    steps: list[tuple[str, int, int, int]], wanted: int | None
) -> None:
    desk = Desk(wanted)
    for what, who, way, far in steps:
        link = 2 * who + way
        match what:
            case "up":
                desk.up(link, NAMES[who])
            case "down":
                desk.down(link)
            case "ack":
                reached = desk.exchange.durable[desk.actor]
                desk.ack(link, max(desk.rows.get(link, ("", 0))[1], reached - far))
            case _:
                desk.write()
        assert desk.exchange.tally.quorum_seq() == desk.recount(), (what, NAMES[who], link, far)
