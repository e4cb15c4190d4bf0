"""A hook that fails at every write does not fill the log."""

from typing import Any

from node.hooks.seldom import Seldom


def test_a_line_a_second_and_the_next_tells_how_many_were_left_out() -> None:
    now, lines = [0.0], list[tuple[str, dict[str, Any]]]()
    log = Seldom(lambda event, **facts: lines.append((event, facts)), lambda: now[0])
    for _ in range(5):
        log("hook_failed", hook="a", error="x")
    log("hook_failed", hook="b", error="x")
    log("hook_refused", hook="a")
    assert [(event, facts["hook"]) for event, facts in lines] == [
        ("hook_failed", "a"), ("hook_failed", "b"), ("hook_refused", "a"),
    ]  # fmt: skip
    now[0] = 1.5
    log("hook_failed", hook="a", error="y")
    assert lines[-1] == ("hook_failed", {"hook": "a", "error": "y", "untold": 4})
    now[0] = 3.0
    log("hook_failed", hook="a", error="z")
    assert "untold" not in lines[-1][1]
