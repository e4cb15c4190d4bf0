"""Events from one table, without content and without secrets."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.logs import EVENTS, EventLog, UnknownEventError, make_log
from node.settings import Logging


@pytest.fixture(autouse=True)
def restore_root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(settings: Logging) -> tuple[EventLog, io.StringIO]:
    stream = io.StringIO()
    return make_log(settings, stream), stream


def test_a_line_is_json_with_time_level_and_event_first() -> None:
    log, stream = logged(Logging())
    log.bind(node="a")("peer_connected", peer="b")
    line = json.loads(stream.getvalue())
    assert list(line)[:3] == ["at", "level", "event"]
    assert (line["event"], line["level"], line["peer"], line["node"]) == (
        "peer_connected",
        "info",
        "b",
        "a",
    )


def test_an_unknown_event_is_a_programmers_error_even_below_the_level() -> None:
    log, _ = logged(Logging(level="error"))
    with pytest.raises(UnknownEventError):
        log("peer_conected")


@pytest.mark.parametrize("field", ["content", "title", "api_key", "metadata"])
def test_a_field_that_could_carry_content_is_a_programmers_error(field: str) -> None:
    log, stream = logged(Logging())
    with pytest.raises(UnknownEventError):
        log("peer_connected", **{field: "x"})
    assert stream.getvalue() == ""


def test_the_level_is_obeyed() -> None:
    log, stream = logged(Logging(level="warning"))
    log("peer_connected")
    assert stream.getvalue() == ""
    log("peer_unreachable")
    assert "peer_unreachable" in stream.getvalue()


def test_libraries_are_heard_without_their_text() -> None:
    log, stream = logged(Logging())
    assert log is not None
    try:
        int("a memory's content")
    except ValueError:
        logging.getLogger("some.library").exception("request %s failed", "with content")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["library"], line["error"]) == (
        "library_message",
        "some.library",
        "ValueError",
    )
    assert "content" not in stream.getvalue()


def test_the_file_gets_every_line_as_json_and_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "node.log"
    log, _ = logged(Logging(path=path, rotate_bytes=4096, files_kept_max=2, format="pretty"))
    for number in range(200):
        log("peer_connected", number=number)
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["number"] == 199
    assert sorted(p.name for p in path.parent.iterdir()) == ["node.log", "node.log.1", "node.log.2"]
    log.close()


def test_pretty_is_for_people_and_carries_no_colours_off_a_terminal() -> None:
    log, stream = logged(Logging(format="pretty"))
    log("node_started", listeners=2)
    assert "listeners=2" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("style", ["json", "pretty"])
@pytest.mark.parametrize(
    "value",
    ["\udcff of a disk", 2**80, {1: "x"}, b"\xff", "a\x1b[2Jb\nnode_started level=info"],
)
def test_any_value_makes_one_line_and_moves_no_terminal(
    value: object, style: str, tmp_path: Path
) -> None:
    path = tmp_path / "node.log"
    log, stream = logged(Logging(format=style, path=path, structured=style == "json"))
    log("peer_unreachable", reason=value)
    for text in (stream.getvalue(), path.read_text(encoding="utf-8")):
        assert len(text.splitlines()) == 1
        assert text.strip().isprintable()
        assert "peer_unreachable" in text
    log.close()


def test_every_event_has_a_level_and_a_meaning() -> None:
    for name, (level, meaning) in EVENTS.items():
        assert level in ("debug", "info", "warning", "error", "critical"), name
        assert meaning
        assert not meaning.endswith("."), name


class _Gone(io.StringIO):
    """A stream whose reader has gone away, as after `serve | head`."""

    def write(self, text: str, /) -> int:
        raise BrokenPipeError(text)


@pytest.mark.parametrize("closed", [True, False])
def test_a_log_that_nobody_reads_any_more_stops_nothing(
    closed: bool,  # noqa: FBT001 - a case of the test
    tmp_path: Path,
) -> None:
    stream = io.StringIO() if closed else _Gone()
    log = make_log(Logging(path=tmp_path / "node.log", format="json"), stream)
    if closed:
        stream.close()
    log("store_full")
    logging.getLogger("some.library").error("this is not kept")
    lines = (tmp_path / "node.log").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["store_full", "library_message"]
    log.close()


def test_the_level_can_be_moved_while_the_node_runs_for_bound_logs_too() -> None:
    log, stream = logged(Logging(level="warning"))
    bound = log.bind(peer="b")
    log.set_level("info")
    bound("peer_connected")
    assert "peer_connected" in stream.getvalue()
    log.set_level("error")
    bound("peer_unreachable")
    assert "peer_unreachable" not in stream.getvalue()


def test_the_file_can_be_for_people_too(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    log, _ = logged(Logging(path=path, structured=False, format="json"))
    log("node_started", listeners=2)
    log.close()
    text = path.read_text()
    assert "listeners=2" in text
    assert "\x1b" not in text


def test_a_file_that_fails_is_told_once_and_what_was_lost_is_told_in_the_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "logs" / "node.log"
    path.parent.mkdir()
    log, stream = logged(Logging(path=path, format="json"))
    path.mkdir()  # nothing can be written there
    for number in range(3):
        log("peer_connected", number=number)
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert events == ["peer_connected", "log_file_failed", "peer_connected", "peer_connected"]
    assert log.lost_lines == 4
    path.rmdir()
    log("peer_connected", number=3)
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in kept] == ["peer_connected", "log_file_resumed"]
    assert kept[1]["lost"] == 4
    log.close()
