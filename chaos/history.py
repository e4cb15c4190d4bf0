"""The history of a campaign: what was asked, what came back, what was broken, what was left.

Law: one JSON object a line, appended only, readable whatever happened to the harness. An `invoke`
without a completion is `info`: it may or may not have had its effect. A last line without its end
is what a killed harness leaves and is passed over; anything else that is malformed is an error
that names its line. Reading streams: a campaign of thousands of cycles is larger than memory.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, cast

from chaos.events import (
    WHOLE,
    Anomaly,
    Begin,
    Completion,
    CycleStart,
    Event,
    Expect,
    Fault,
    FinalRead,
    FinalRecord,
    Invoke,
    Judgement,
    Note,
    Outcome,
    Resume,
    Verdict,
)
from chaos.finals import Restorer
from chaos.recorder import OWN_OF_COMPLETION, OWN_OF_INVOKE, Recorder
from chaos.stage import Asks, Reply, Stage, Workload

__all__ = [
    "WHOLE",
    "Anomaly",
    "Asks",
    "Begin",
    "Completion",
    "CycleStart",
    "Event",
    "Expect",
    "Fault",
    "FinalRead",
    "FinalRecord",
    "Invoke",
    "Judgement",
    "MalformedHistoryError",
    "Note",
    "Outcome",
    "Recorder",
    "Reply",
    "Resume",
    "Stage",
    "Verdict",
    "Workload",
    "parse",
    "parse_all",
    "read_file",
    "read_history",
]

_OUTCOMES: Final = ("ok", "fail", "info")
_JUDGEMENTS: Final = ("pass", "fail", "void", "not_run")
_PHASES: Final = ("inject", "proof", "heal")


class MalformedHistoryError(ValueError):
    """A line that is no event.

    Attributes:
        line: its number, from 1.
    """

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line


def read_history(lines: Iterable[str | bytes]) -> Iterator[Event]:
    """Turn lines into events, one at a time.

    Args:
        lines: with their ends, as an open file gives them.

    Raises:
        MalformedHistoryError: for a line that has an end and is no event.
    """
    finals = Restorer()
    for number, line in enumerate(lines, start=1):
        if not (line.endswith("\n") if isinstance(line, str) else line.endswith(b"\n")):
            return  # only the last line of a file has no end, and who goes on takes it away
        try:
            row = json.loads(line)
        except ValueError as error:
            raise MalformedHistoryError(number, f"not JSON: {error}") from error
        if not isinstance(row, dict):
            raise MalformedHistoryError(number, "not an object")
        try:
            event = parse(finals.whole(row) if row.get("kind") == "final" else row)
        except KeyError as error:
            raise MalformedHistoryError(number, f"no {error.args[0]!r}") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise MalformedHistoryError(number, str(error)) from error
        yield event


def read_file(path: Path) -> Iterator[Event]:
    """Events of a file, streaming.

    Raises:
        OSError: when it cannot be read.
        MalformedHistoryError: see `read_history`.
    """
    with path.open("rb") as lines:
        yield from read_history(lines)


def parse_all(rows: Iterable[Mapping[str, Any]]) -> list[Event]:
    """Events of decoded lines, which are in the order of the file.

    Raises:
        KeyError, TypeError, ValueError: as of `parse`.
    """
    finals = Restorer()
    return [parse(finals.whole(row) if row["kind"] == "final" else row) for row in rows]


def parse(row: Mapping[str, Any]) -> Event:
    """One event of one decoded line; a `final` that refers to another was made whole before.

    Raises:
        KeyError: a field is missing.
        TypeError, ValueError: a field is of the wrong type or not one of its values.
    """
    kind = row["kind"]
    reader = _PARSERS.get(kind)
    if reader is None:
        raise ValueError(f"unknown kind {kind!r}")
    return reader(row)


def _begin(row: Mapping[str, Any]) -> Event:
    return Begin(
        campaign=str(row["campaign"]),
        seed=int(row["seed"]),
        nodes=tuple(map(str, row["nodes"])),
        quorum_writes=int(row["quorum_writes"]),
        plan=_object(row, "plan"),
        version=str(row.get("version", "")),
    )


def _cycle(row: Mapping[str, Any]) -> Event:
    return CycleStart(
        cycle=int(row["cycle"]),
        fault_class=str(row["class"]),
        workload=str(row["workload"]),
        seed=int(row["seed"]),
        at=float(row["at"]),
    )


def _invoke(row: Mapping[str, Any]) -> Event:
    return Invoke(
        op=int(row["op"]),
        cycle=int(row["cycle"]),
        at=float(row["at"]),
        process=str(row["process"]),
        node=str(row["node"]),
        f=str(row["f"]),
        args={name: value for name, value in row.items() if name not in OWN_OF_INVOKE},
    )


def _completion(row: Mapping[str, Any]) -> Event:
    return Completion(
        op=int(row["op"]),
        at=float(row["at"]),
        outcome=cast("Outcome", _one_of(row, "kind", _OUTCOMES)),
        status=int(row.get("status", 0)),
        values={name: value for name, value in row.items() if name not in OWN_OF_COMPLETION},
    )


def _fault(row: Mapping[str, Any]) -> Event:
    return Fault(
        cycle=int(row["cycle"]),
        at=float(row["at"]),
        phase=cast("Literal['inject', 'proof', 'heal']", _one_of(row, "phase", _PHASES)),
        what=str(row["what"]),
        ok=bool(row["ok"]),
        detail=_object(row, "detail"),
    )


def _expect(row: Mapping[str, Any]) -> Event:
    return Expect(
        cycle=int(row["cycle"]),
        at=float(row["at"]),
        what=str(row["what"]),
        ok=bool(row["ok"]),
        detail=_object(row, "detail"),
    )


def _final(row: Mapping[str, Any]) -> Event:
    clock = row["clock"]
    return FinalRead(
        cycle=int(row["cycle"]),
        at=float(row["at"]),
        node=str(row["node"]),
        scope=cast("Literal['cycle', 'all']", _one_of(row, "scope", ("cycle", "all"))),
        clock=clock if isinstance(clock, str) else {a: int(n) for a, n in clock.items()},
        digest=str(row["digest"]),
        policies=_object(row, "policies"),
        records={
            id_: FinalRecord(
                hash=str(held["hash"]),
                value=held.get("value"),
                present=bool(held.get("present", True)),
            )
            for id_, held in _object(row, "records").items()
        },
        error=row.get("error"),
        standards=_object(row, "standards"),
    )


def _verdict(row: Mapping[str, Any]) -> Event:
    converged = row.get("converged_s")
    return Verdict(
        cycle=int(row["cycle"]),
        fault_class=str(row["class"]),
        at=float(row["at"]),
        verdict=cast("Judgement", _one_of(row, "verdict", _JUDGEMENTS)),
        why=str(row.get("why", "")),
        anomalies=tuple(
            Anomaly(a["checker"], a["rule"], a["detail"], tuple(a.get("ops", ())))
            for a in row.get("anomalies", ())
        ),
        acknowledged=int(row.get("acknowledged", 0)),
        attempted=int(row.get("attempted", 0)),
        converged_s=None if converged is None else float(converged),
    )


def _one_of(row: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    if row[name] not in known:
        raise ValueError(f"{name} is none of {', '.join(known)}: {row[name]!r}")
    return str(row[name])


def _object(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = row.get(name, {})
    if not isinstance(value, dict):
        raise TypeError(f"{name} is not an object")
    return value


_PARSERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Event]]] = {
    "begin": _begin,
    "resume": lambda row: Resume(at=float(row["at"])),
    "cycle": _cycle,
    "invoke": _invoke,
    **dict.fromkeys(_OUTCOMES, _completion),
    "fault": _fault,
    "expect": _expect,
    "final": _final,
    "verdict": _verdict,
    **dict.fromkeys(("note", "sample"), lambda row: Note(fields=dict(row))),
}
