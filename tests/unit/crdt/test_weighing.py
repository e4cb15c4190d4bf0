from typing import Any

import pytest

from crdt.clock import Clock
from crdt.effects import Confirm
from crdt.weighing import Outcome, Weighing, Word
from tests.unit.crdt.rig import Node, Side, actor, linked, mesh, node_of, talk

NEW = actor("s", birth=9)
"""What only the source and its claimants have heard of."""


def weighed(*claimants: str, others: str = "w", **limits: int) -> tuple[Side, Weighing]:
    """A node `m`, a source `s`, and others of which some claim what the snapshot covers."""
    nodes = {node.name: node for node in mesh("m", "s", *others)}
    me = Side(nodes["m"], **limits)
    for link, name in enumerate(["s", *others], 1):
        linked(me, side := Side(nodes[name]), link)
        talk(me, side, link)
    clock: Clock = {**me.exchange.replica.clock, NEW: 3}
    for link, name in enumerate(["s", *others], 1):
        if name in claimants or name == "s":
            me.exchange.learn(link, me.exchange.peers[link], {NEW: 3})
    me.exchange.effects.clear()
    state = me.node.replica.governance.now
    now = me.exchange.now_ms
    return me, Weighing(1, node_of("s"), 1, b"snap", clock, state, now)


def asked(side: Side) -> list[int]:
    return [one.witness for one in side.exchange.effects if isinstance(one, Confirm)]


def say(side: Side, weighing: Weighing, name: str, word: Word) -> Outcome:
    assert weighing.asking == node_of(name)
    weighing.heard(node_of(name), word, side.exchange.now_ms, 100)
    return weighing.weigh(side.exchange)


def test_who_claims_as_much_is_asked_and_its_word_is_enough() -> None:
    me, weighing = weighed("w")
    assert weighing.weigh(me.exchange) is Outcome.WAIT
    assert asked(me) == [2]
    assert say(me, weighing, "w", Word.SAME) is Outcome.ADOPT
    assert weighing.told is None


def test_what_nobody_else_claims_is_waited_for_and_thrown_away() -> None:
    me, weighing = weighed(session_deadline_ms=1_000)
    assert weighing.weigh(me.exchange) is Outcome.WAIT
    me.pass_time(2_000)
    assert weighing.weigh(me.exchange) is Outcome.WAIT
    me.pass_time(1)
    assert weighing.weigh(me.exchange) is Outcome.DROP
    assert not asked(me)
    assert weighing.unclaimed(me.exchange) == {NEW}
    assert weighing.told is not None
    assert weighing.told[0] == "snapshot_unclaimed"


def test_whom_an_operator_trusts_is_believed_when_its_time_is_over() -> None:
    me, weighing = weighed(session_deadline_ms=1_000)
    me.exchange.catchup.trial.trusted.add(node_of("s"))
    assert weighing.weigh(me.exchange) is Outcome.WAIT
    me.pass_time(2_001)
    assert weighing.weigh(me.exchange) is Outcome.ADOPT


def test_what_is_claimed_later_is_asked_about_then() -> None:
    me, weighing = weighed()
    assert weighing.weigh(me.exchange) is Outcome.WAIT
    me.exchange.learn(2, me.exchange.peers[2], {NEW: 3})
    assert weighing.weigh(me.exchange) is Outcome.WAIT
    assert asked(me) == [2]


def test_other_rows_are_refused_once_nobody_else_can_be_asked() -> None:
    me, weighing = weighed("w")
    weighing.weigh(me.exchange)
    assert say(me, weighing, "w", Word.OTHER) is Outcome.REFUSE
    assert weighing.told == ("snapshot_refused", "w holds other rows")


def test_two_that_deny_it_are_more_than_the_source() -> None:
    me, weighing = weighed("w", "x", others="wx")
    weighing.weigh(me.exchange)
    assert say(me, weighing, "w", Word.OTHER) is Outcome.WAIT
    assert say(me, weighing, "x", Word.OTHER) is Outcome.REFUSE


def test_one_that_denies_it_does_not_win_over_the_source_and_another() -> None:
    me, weighing = weighed("w", "x", others="wx")
    weighing.weigh(me.exchange)
    assert say(me, weighing, "w", Word.OTHER) is Outcome.WAIT
    assert say(me, weighing, "x", Word.SAME) is Outcome.ADOPT
    assert weighing.told == ("snapshot_disputed", "w alone holds others")


def test_two_against_two_decide_nothing_for_the_source() -> None:
    me, weighing = weighed("w", "x", "y", others="wxy")
    weighing.weigh(me.exchange)
    say(me, weighing, "w", Word.OTHER)
    say(me, weighing, "x", Word.OTHER)
    assert weighing.asking is None
    me, weighing = weighed("w", "x", "y", others="wxy")
    weighing.weigh(me.exchange)
    say(me, weighing, "w", Word.OTHER)
    say(me, weighing, "x", Word.UNABLE)
    assert say(me, weighing, "y", Word.OTHER) is Outcome.REFUSE


def test_who_cannot_tell_is_asked_again_and_whose_link_ended_too() -> None:
    me, weighing = weighed("w")
    weighing.weigh(me.exchange)
    assert say(me, weighing, "w", Word.UNABLE) is Outcome.WAIT
    me.pass_time(100)
    assert weighing.weigh(me.exchange) is Outcome.WAIT
    assert asked(me) == [2, 2]
    me.exchange.link_down(2)
    assert weighing.weigh(me.exchange) is Outcome.WAIT
    assert weighing.words == {node_of("w"): Word.UNABLE}


def test_members_of_an_older_release_claim_and_compare_nothing() -> None:
    me, weighing = weighed("w")
    weighing.weigh(me.exchange)
    assert say(me, weighing, "w", Word.SILENT) is Outcome.ADOPT
    assert weighing.told == (
        "snapshot_unconfirmed",
        "w claims as much, but compares no rows",
    )


def test_silence_excuses_nobody_of_whom_another_says_that_he_lies() -> None:
    me, weighing = weighed("w", "x", others="wx")
    weighing.weigh(me.exchange)
    say(me, weighing, "w", Word.SILENT)
    assert say(me, weighing, "x", Word.OTHER) is Outcome.REFUSE


def test_in_a_mesh_of_two_the_only_other_is_believed_at_once() -> None:
    me, weighing = weighed(others="")
    assert weighing.weigh(me.exchange) is Outcome.ADOPT
    assert weighing.told is None


@pytest.mark.parametrize("how", ["away", "not joined", "stopped"])
def test_alone_with_the_source_it_is_believed_after_a_while_and_told(how: str) -> None:
    me, weighing = weighed("w", second_ms=1_000)
    if how == "away":
        me.exchange.link_down(2)
    else:
        peer: Any = me.exchange.peers[2]
        peer.joined, peer.stopped = how != "not joined", how == "stopped"
    assert weighing.weigh(me.exchange) is Outcome.WAIT
    me.pass_time(1_001)
    assert weighing.weigh(me.exchange) is Outcome.ADOPT
    assert weighing.told is not None
    assert weighing.told[0] == "snapshot_unconfirmed"


def test_who_is_no_member_is_no_witness() -> None:
    me, weighing = weighed("w", second_ms=1_000)
    stranger = Side(Node("z", ("m", "s", "w")))
    linked(me, stranger, 9)
    talk(me, stranger, 9)
    me.exchange.learn(9, me.exchange.peers[9], dict(weighing.clock))
    me.exchange.peers[9].joined = True
    assert [link for link, _ in weighing.witnesses(me.exchange)] == [2]


def test_what_came_otherwise_meanwhile_is_not_needed_any_more() -> None:
    me, weighing = weighed("w")
    me.exchange.replica.clock[NEW] = 3
    assert weighing.weigh(me.exchange) is Outcome.NEEDLESS
