"""What somebody who is no member says of itself is in no log: its size and its hash are."""

import pytest

from crdt.governance import Genesis
from node.peers.greeting import GreetingRefused, check_same_mesh
from node.peers.refusals import reason_of
from transport.link import LinkClosed

MARK = "zqx-what-a-stranger-said"
MINE = Genesis(cluster="mesh", founders=("https://a:1", "https://b:1"))


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        (Genesis(cluster=MARK, founders=MINE.founders), "wrong_cluster"),
        (Genesis(cluster="mesh", founders=("https://a:1", MARK)), "wrong_mesh"),
    ],
)
def test_a_refusal_names_what_is_here_and_no_word_of_theirs(theirs: Genesis, reason: str) -> None:
    with pytest.raises(GreetingRefused) as refused:
        check_same_mesh(MINE, theirs)
    assert refused.value.reason == reason
    assert MARK not in refused.value.detail
    assert f"{len(MARK)} characters, sha256 " in refused.value.detail
    own = "mesh" if reason == "wrong_cluster" else "https://b:1"
    assert own in refused.value.detail


def test_the_same_mesh_is_no_refusal() -> None:
    check_same_mesh(MINE, MINE)


@pytest.mark.parametrize(
    ("closed", "said"),
    [
        (LinkClosed("closed_by_peer", f"wrong_mesh: {MARK}"), "wrong_mesh"),
        (LinkClosed("closed_by_peer", "twin: another process"), "twin"),
        (LinkClosed("closed_by_peer"), "closed_by_peer"),
        (LinkClosed("lost"), "lost"),
        (LinkClosed("closed_by_us", "replaced"), "replaced"),
    ],
)
def test_of_a_goodbye_the_first_word_is_told(closed: LinkClosed, said: str) -> None:
    assert reason_of(closed) == said


def test_a_goodbye_that_is_no_word_is_told_by_size_and_hash() -> None:
    told = reason_of(LinkClosed("closed_by_peer", MARK))
    assert MARK not in told
    assert told.startswith(f"{len(MARK)} characters, sha256 ")


def test_of_a_member_a_short_phrase_is_told() -> None:
    closed = LinkClosed("closed_by_peer", "it asks for more than it reads")
    assert reason_of(closed, phrase=True) == closed.detail
    assert reason_of(closed) != closed.detail
