"""What the log of a victim says of its links with others."""

from typing import Any

from chaos.hostile.target import losses


def said(*lines: str) -> list[dict[str, Any]]:
    """Log lines: `+n3` a connection, `-n3 why` the end of one, `!` a start."""
    made: list[dict[str, Any]] = []
    for line in lines:
        peer, _, reason = line[1:].partition(" ")
        event = {"+": "peer_connected", "-": "peer_disconnected", "!": "node_starting"}[line[0]]
        made.append({"event": event, "peer": peer, "reason": reason})
    return made


def test_the_end_of_the_only_connection_is_a_loss() -> None:
    assert losses(said("+n3", "-n3 lost"), {"n3"}) == 1
    assert losses(said("+n3", "-n3 lost", "+n3", "-n3 no answer within 0.75 s"), {"n3"}) == 2


def test_of_two_that_cross_one_is_given_up() -> None:
    assert losses(said("+n3", "+n3", "-n3 lost"), {"n3"}) == 0
    assert losses(said("+n3", "-n3 duplicate", "+n3"), {"n3"}) == 0
    assert losses(said("+n3", "+n3", "-n3 lost", "-n3 lost"), {"n3"}) == 1


def test_others_and_what_was_before_a_start_do_not_count() -> None:
    assert losses(said("+n2", "-n2 lost"), {"n3"}) == 0
    assert losses(said("+n3", "+n3", "!", "+n3", "-n3 lost"), {"n3"}) == 1
