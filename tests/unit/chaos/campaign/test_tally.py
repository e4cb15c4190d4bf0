"""Rows of a cycle: the very lines of the file, with the first try of a cycle that was cut short."""

from pathlib import Path

import trio

from chaos.campaign.tally import Tally, unfinished
from chaos.history import Invoke, Recorder, parse_all


def begin(recorder: Recorder, number: int) -> None:
    recorder.event("cycle", cycle=number, workload="set", seed=1, **{"class": "F01"})


def end(recorder: Recorder) -> None:
    recorder.event("verdict", verdict="pass", **{"class": "F01"})


def ids(tally: Tally) -> list[object]:
    return [one.args["id"] for one in parse_all(tally.rows) if isinstance(one, Invoke)]


def test_rows_are_those_of_the_running_cycle(tmp_path: Path) -> None:
    with Tally(tmp_path / "h") as tally:
        for number in (1, 2):
            begin(tally, number)
            tally.invoke("c", "n1", "add", id=f"a{number}")
        assert ids(tally) == ["a2"]
        assert tally.rows[0]["kind"] == "cycle"


def test_a_cycle_that_was_cut_short_is_judged_with_its_first_try(tmp_path: Path) -> None:
    path = tmp_path / "h"
    with Tally(path) as tally:
        begin(tally, 1)
        tally.invoke("c", "n1", "add", id="a")
        end(tally)
        begin(tally, 2)
        tally.complete(tally.invoke("c", "n1", "add", id="b"), "ok", status=201)
    with path.open("ab") as file:
        file.write(b'{"kind":"inv')
    with Tally(path) as tally:
        begin(tally, 2)
        tally.invoke("c", "n1", "add", id="c")
        assert ids(tally) == ["b", "c"]
    with Tally(path) as tally:
        begin(tally, 2)
        assert ids(tally) == ["b", "c"]
        end(tally)
        begin(tally, 3)
        assert ids(tally) == []
    assert list(unfinished(path)) == [3]


def test_a_cycle_that_was_cut_short_may_be_begun_anew_after_others(tmp_path: Path) -> None:
    path = tmp_path / "h"
    with Tally(path) as tally:
        begin(tally, 1)
        tally.invoke("c", "n1", "add", id="a")
    with Tally(path) as tally:  # other classes of the plan come first this time
        begin(tally, 2)
        tally.invoke("c", "n1", "add", id="b")
        end(tally)
        assert ids(tally) == ["b"]
    with Tally(path) as tally:
        begin(tally, 1)
        tally.invoke("c", "n1", "add", id="c")
        assert ids(tally) == ["a", "c"]


def test_of_a_finished_cycle_nothing_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "h"
    assert unfinished(path) == {}
    with Tally(path) as tally:
        begin(tally, 1)
        end(tally)
    assert unfinished(path) == {}
    with Tally(path) as tally:
        begin(tally, 2)
        assert ids(tally) == []


def test_who_waits_for_acknowledgements_is_woken_by_them_only(tmp_path: Path) -> None:
    async def run() -> None:
        with Tally(tmp_path / "h") as tally:
            begin(tally, 1)
            woken = []

            async def wait() -> None:
                await tally.more()
                woken.append(tally.acknowledged)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                for outcome in ("fail", "info", "ok"):
                    tally.complete(tally.invoke("c", "n1", "add"), outcome, status=1)  # type: ignore[arg-type]
                    await trio.testing.wait_all_tasks_blocked()
                    assert woken == ([1] if outcome == "ok" else [])

    trio.run(run)


def test_what_an_ended_harness_had_acknowledged_in_a_cycle_is_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "h"
    with Tally(path) as tally:
        tally.event("cycle", cycle=1, **{"class": "F01"}, workload="set", seed=1)
        tally.complete(tally.invoke("c1", "n1", "add"), "ok", dot="old:9")
        tally.event("verdict", **{"class": "F01"}, verdict="pass")
        tally.event("cycle", cycle=2, **{"class": "F01"}, workload="set", seed=1)
        for seq in (7, 5):
            tally.complete(tally.invoke("c1", "n1", "add"), "ok", dot=f"gone:{seq}")
        tally.complete(tally.invoke("c1", "n1", "add"), "info", dot="unsure:3")
    with Tally(path) as tally:
        tally.event("cycle", cycle=2, **{"class": "F01"}, workload="set", seed=1)
        assert tally.dots() == {"gone": 7}
        tally.complete(tally.invoke("c1", "n1", "add"), "ok", dot="present:1")
        assert tally.dots() == {"gone": 7, "present": 1}
