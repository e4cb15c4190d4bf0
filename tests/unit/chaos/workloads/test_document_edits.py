"""What a client does to a document keeps tokens whole, and a retry is the edit that it repeats."""

import random
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from chaos.check.document_view import seen_in
from chaos.check.gathering import gather
from chaos.client import Answer, outcome_of
from chaos.history import Recorder, Stage, read_file
from chaos.workloads.document import DocumentWorkload
from chaos.workloads.document_edits import drawn, shown
from chaos.workloads.play import Pace, Player

STRUCTURED = {"text": "[é][b][🌍]", "list": ["x", "y"], "map": {}, "count": 0}
PLAIN = {"text": "[é][b][🌍]"}


def player(rng: random.Random) -> Player:
    return Player(stage=None, process="c1", rng=rng, mark="1.0.c1")  # type: ignore[arg-type]


def applied(value: dict[str, Any], ops: list[dict[str, Any]]) -> dict[str, Any]:
    """What becomes of a value when nobody else edits."""
    out = {**value, "list": list(value.get("list", ())), "map": dict(value.get("map", {}))}
    for op in ops:
        match op["op"], op["path"]:
            case "splice", ["text"]:
                text, at = out["text"], op.get("index", len(out["text"]))
                out["text"] = text[:at] + op.get("insert", "") + text[at + op.get("delete", 0) :]
            case "insert", ["list", place]:
                out["list"].insert(place, op["value"])
            case "delete", ["list", place]:
                del out["list"][place]
            case "increment", ["count"]:
                out["count"] += op["by"]
            case "put", [*path, name]:
                (out["map"] if path else out)[name] = op["value"]
            case _:
                raise AssertionError(op)
    return out


@pytest.mark.parametrize("value", [PLAIN, STRUCTURED], ids=["plain", "structured"])
@pytest.mark.parametrize("seed", range(4))
def test_every_token_stays_whole_and_what_is_said_is_what_is_done(
    value: dict[str, Any], seed: int
) -> None:
    one, ways = player(random.Random(seed)), set()
    for _ in range(200):
        body = {"value": value, "heads": ["h2", "h1"], "changes": 5}
        edit = drawn(one, body)
        ways.add(edit.kind)
        after = applied(value, edit.ops) if edit.whole is None else {**value, "text": edit.whole}
        was, now = seen_in(value), seen_in(after)
        assert now.torn == ()
        here, there = set(was.places("w")), set(now.places("w"))
        came = {
            edit.args[where] for where in ("text", "list", "map", "latest") if where in edit.args
        }
        assert {place.token for place in there - here} == came
        gone = {edit.args[name] for name in ("text_gone", "list_gone") if name in edit.args}
        assert {place.token for place in here - there} == gone
        assert (now.counted or 0) - (was.counted or 0) == edit.args.get("by", 0)
        # Positions mean something at the heads that were seen alone.
        placed = any("index" in op or isinstance(op["path"][-1], int) for op in edit.ops)
        assert edit.heads == ["h2", "h1"] if placed else edit.heads in (None, ["h2", "h1"])
    assert ways >= (
        {"text", "gone"} | ({"list", "both", "map", "count"} if "list" in value else {"whole"})
    )


def test_a_text_that_nobody_edited_is_not_written_in_the_old_way() -> None:
    one = player(random.Random(1))
    body = {"value": PLAIN, "heads": ["seed"], "changes": 1}
    assert all(drawn(one, body).whole is None for _ in range(300))


def test_what_is_shown_fits_a_history() -> None:
    body = {
        "value": {**STRUCTURED, "map": {"b": "b", "a": "a"}},
        "heads": ["ff" * 32],
        "changes": 3,
    }
    assert shown(body) == {
        "heads": ["ff" * 8],
        "changes": 3,
        "text": "[é][b][🌍]",
        "list": ["x", "y"],
        "count": 0,
        "map": ["a", "b"],
    }


class Unsure:
    """Answers reads, and writes with 503."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str, Any]] = []

    async def ask(
        self, node: int, method: str, path: str, body: object = None, **kept: Any
    ) -> Answer:
        await trio.lowlevel.checkpoint()
        headers = kept["headers"]
        if method == "PATCH" and path.endswith("/document"):
            self.sent.append((node, headers["Idempotency-Key"], body))
            return Answer(503, {"error": "quorum_not_met"}, {}, outcome_of(503))
        told = {"value": {"text": "[a]"}, "heads": ["h"], "changes": 2, "id": "w"}
        return Answer(200, told, {"etag": '"1"'}, outcome_of(200))


def test_a_retry_is_the_same_request_and_goes_elsewhere_only_with_its_heads(tmp_path: Path) -> None:
    mesh = Unsure()
    recorder = Recorder(tmp_path / "h")
    recorder.event("cycle", cycle=1, workload="document", seed=1, **{"class": "none"})
    stage = Stage(
        client=mesh,
        recorder=recorder,
        nodes=["n1", "n2", "n3"],
        live={0, 1, 2},
        rng=random.Random(3),
        cycle=1,
        namespace="chaos/c000001",
    )

    async def run() -> None:
        with trio.move_on_after(0.05):
            await DocumentWorkload(pace=Pace(clients=3, pace_s=0.001)).run(stage)

    trio.run(run, clock=MockClock(autojump_threshold=0))
    recorder.close()
    tries: dict[str, list[tuple[int, Any]]] = {}
    for node, key, body in mesh.sent:
        tries.setdefault(key, []).append((node, body))
    whole = [group for group in tries.values() if len(group) == 3]
    assert len(whole) > 5
    assert all(body == group[0][1] for group in whole for _, body in group)
    bare = [group for group in whole if "heads" not in group[0][1]]
    assert all(len({node for node, _ in group}) == 1 for group in bare)
    assert any(len({node for node, _ in group}) > 1 for group in whole)
    cycle = gather(read_file(tmp_path / "h"))
    keys = {each.args["key"] for each in cycle.writes("edit") if "key" in each.args}
    assert tries.keys() <= keys
