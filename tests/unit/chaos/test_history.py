"""A history survives its writer, and says where it is malformed."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.history import (
    Anomaly,
    Begin,
    Completion,
    CycleStart,
    Expect,
    Fault,
    FinalRead,
    FinalRecord,
    Invoke,
    MalformedHistoryError,
    Note,
    Recorder,
    Resume,
    Verdict,
    read_file,
    read_history,
)


def ticking() -> Callable[[], float]:
    now = [100.0]

    def monotonic() -> float:
        now[0] += 0.5
        return now[0]

    return monotonic


def play(recorder: Recorder) -> None:
    recorder.event(
        "begin",
        campaign="c",
        seed=1,
        nodes=["n1", "n2"],
        quorum_writes=2,
        plan={"nodes": 2},
        version="0",
    )
    recorder.event("cycle", cycle=1, workload="set", seed=7, **{"class": "F01"})
    op = recorder.invoke("c1", "n1", "add", id="a", value=1)
    recorder.complete(op, "ok", status=201, id="a")
    recorder.event("fault", phase="inject", what="cut", ok=True, detail={"pair": ["n1", "n2"]})
    recorder.event("expect", what="the minority answers 503", ok=False, detail={})
    recorder.event(
        "final",
        node="n1",
        scope="cycle",
        clock={"x": 3},
        digest="d",
        policies={"ns": "h"},
        records={"a": {"hash": "h", "value": {"title": "t"}, "present": True}},
    )
    recorder.event("note", text="free")
    recorder.event(
        "verdict",
        verdict="fail",
        why="",
        anomalies=[{"checker": "set", "rule": "lost", "detail": "a", "ops": [1]}],
        acknowledged=1,
        attempted=1,
        converged_s=0.5,
        **{"class": "F01"},
    )


def test_what_is_recorded_is_read_back_typed(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with Recorder(path, monotonic=ticking()) as recorder:
        play(recorder)
    begin, cycle, invoke, done, fault, expect, final, note, verdict = read_file(path)
    assert isinstance(begin, Begin)
    assert begin.nodes == ("n1", "n2")
    assert isinstance(cycle, CycleStart)
    assert (cycle.fault_class, cycle.workload, cycle.seed) == ("F01", "set", 7)
    assert isinstance(invoke, Invoke)
    assert (invoke.op, invoke.cycle, invoke.args) == (1, 1, {"id": "a", "value": 1})
    assert isinstance(done, Completion)
    assert (done.outcome, done.status, done.values) == ("ok", 201, {"id": "a"})
    assert done.at > invoke.at
    assert isinstance(fault, Fault)
    assert fault.detail == {"pair": ["n1", "n2"]}
    assert isinstance(expect, Expect)
    assert not expect.ok
    assert isinstance(final, FinalRead)
    assert final.records == {"a": FinalRecord(hash="h", value={"title": "t"}, present=True)}
    assert isinstance(note, Note)
    assert isinstance(verdict, Verdict)
    assert verdict.anomalies == (Anomaly("set", "lost", "a", (1,)),)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_invoke_is_in_the_file_before_anything_else_happens(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    recorder = Recorder(path)
    recorder.invoke("c1", "n1", "add", id="a")
    assert [event.f for event in read_file(path) if isinstance(event, Invoke)] == ["add"]
    recorder.close()
    recorder.close()


def test_who_resumes_goes_on_with_numbers_and_time_and_takes_a_cut_line_away(
    tmp_path: Path,
) -> None:
    path = tmp_path / "history.jsonl"
    with Recorder(path, monotonic=ticking()) as first:
        play(first)
        last = first.now()
    with path.open("ab") as file:
        file.write(b'{"kind":"invoke","op":2,"cyc')
    assert len(list(read_file(path))) == 9
    with Recorder(path, monotonic=ticking()) as second:
        assert second.resumed
        assert second.cycle == 1
        assert second.invoke("c1", "n1", "add", id="b") == 2
    *_, resume, invoke = read_file(path)
    assert isinstance(resume, Resume)
    assert resume.at >= last - 1
    assert isinstance(invoke, Invoke)


def test_a_last_line_that_lacks_only_its_end_is_read_by_nobody(tmp_path: Path) -> None:
    """Who goes on takes it away, so who asks what is left to be played must not count it."""
    path = tmp_path / "h"
    path.write_bytes(b'{"kind":"resume","at":1}\n{"kind":"resume","at":2}')
    assert list(read_file(path)) == [Resume(at=1.0)]
    with Recorder(path):
        pass
    assert path.read_bytes().startswith(b'{"kind":"resume","at":1}\n{"kind":"resume","at":1.0')


def test_a_full_disk_leaves_no_half_of_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write, room = tmp_path / "h", os.write, [40]

    def into_what_is_left(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = write(file, data[: room[0]])
        room[0] -= done
        return done

    with Recorder(path) as recorder:
        recorder.event("note", text="first")
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", into_what_is_left)
            with pytest.raises(OSError, match="No space left"):
                recorder.event("note", text="does not fit into what is left of the disk")
        recorder.event("note", text="later")
    texts = [event.fields["text"] for event in read_file(path) if isinstance(event, Note)]
    assert texts == ["first", "later"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("not json", "not JSON"),
        ("[]", "not an object"),
        ('{"kind":"sale"}', "unknown kind 'sale'"),
        ('{"op":1}', "no 'kind'"),
        ('{"kind":"invoke","op":1,"cycle":1,"at":0,"process":"c","node":"n"}', "no 'f'"),
        ('{"kind":"ok","op":"x","at":0}', "invalid literal"),
        ('{"kind":"fault","cycle":1,"at":0,"phase":"poke","what":"","ok":true}', "phase is none"),
        ('{"kind":"begin","campaign":"","seed":1,"nodes":[],"quorum_writes":1,"plan":3}', "plan"),
    ],
)
def test_a_malformed_line_is_named(line: str, why: str) -> None:
    lines = ['{"kind":"resume","at":1}\n', line + "\n", '{"kind":"resume","at":1}\n']
    with pytest.raises(MalformedHistoryError, match=f"line 2: .*{why}") as caught:
        list(read_history(lines))
    assert caught.value.line == 2


def test_a_name_of_the_line_itself_is_no_argument(tmp_path: Path) -> None:
    with Recorder(tmp_path / "h") as recorder:
        with pytest.raises(ValueError, match="at, kind, op"):
            recorder.invoke("c1", "n1", "add", at=1, op=2, kind="x")
        with pytest.raises(ValueError, match="at"):
            recorder.complete(1, "ok", at=3)
        with pytest.raises(ValueError, match="unknown kind"):
            recorder.event("sale")


def test_text_of_any_kind_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "h"
    with Recorder(path) as recorder:
        recorder.invoke("c1", "n1", "add", text="é\u2028\n\u202e", many={"b", "a"})
    (line,) = path.read_text(encoding="utf-8").split("\n")[:-1]
    assert json.loads(line)["text"] == "é\u2028\n\u202e"
    assert json.loads(line)["many"] == ["a", "b"]
