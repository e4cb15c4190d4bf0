"""The pages of `docs/reference/`, written from the tables that the program itself obeys.

Law: nobody types these pages. `python -m tests.architecture.reference` writes them, and a test
fails when one of them no longer says what the tables say. What a table declares and no code
uses yet is said to be so, found by looking at the sources.
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import typer

from node.cli.app import command_tree
from node.declare import Setting
from node.errors import Exit, NodeError
from node.events.event_name import EventName
from node.events.names import AFTER
from node.events.names import TABLE as EVENT_TABLE
from node.failpoints import POINTS
from node.http.routes import Needs, Touches
from node.http.table import TABLE as ROUTES
from node.logs import EVENTS
from node.metrics import TABLE as METRICS
from node.settings import TABLE as SETTINGS
from node.settings.hook_tables import ROWS as HOOK_ROWS
from node.settings.sections import SECTIONS
from transport.refusals import Refusal

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "docs" / "reference"
COMMAND: Final = "python -m tests.architecture.reference"
_NOTE: Final = f"<!-- Generated: {COMMAND}. Do not edit. -->"
_TABLES: Final = frozenset({"logs.py", "metrics.py", "limits.py", "sections.py"})
_PEERS_MUST_AGREE: Final = "must be equal on all members"

_SETTINGS_INTRO: Final = (
    "One table in the program declares all of these; the file, the environment, the options "
    "of `mnemesh serve` and this page are read from it. An option wins over the environment, "
    "the environment over the file, the file over the default. A key that is not here is "
    "refused with its line and the nearest real key. Settings that a reload takes change in a "
    "running node on SIGHUP; all others wait for a restart."
)
_HOOKS_INTRO: Final = (
    "Each hook has a table of its own, named as it is called; see [hooks](../hooks.md). These keys "
    "have no option and no variable. A reload takes them."
)
_EVENT_TABLE_INTRO: Final = (
    "One table names every event. What is read off the log goes to streams, subscriptions and "
    "[hooks](../hooks.md); what only one node knows, and what is asked before it happens "
    "(`before_*`), goes to the hooks of that node alone. A hook may ask for `after_*`: all that "
    "may come of the question of that name."
)
_EVENTS_INTRO: Final = (
    "A line of the log is one event with plain facts beside it: `at` (RFC 3339, UTC), "
    "`level`, `event`, then the facts. No line carries the content of a memory or a secret."
)
_FAILPOINTS_INTRO: Final = (
    "A node that was started with `MNEMESH_FAULTS` fails at these places when it is told to; see "
    "[operations](../operations.md#test-builds-faults-by-order). Where: `loop` stands for the "
    "whole node while a delay lasts, `task` for one answer, link or delivery, the others for a "
    "thread."
)
_METRICS_INTRO: Final = (
    "`GET /metrics` is a Prometheus page with these and the usual `process_*`; `GET "
    "/api/v1/metrics` leaves the latter out. Every metric shows its type before its first "
    "event. No label names an agent, a memory or a namespace."
)


@cache
def _sources() -> str:
    """The program's text without the tables themselves."""
    files = (path for part in ("crdt", "transport", "node") for path in (ROOT / part).rglob("*.py"))
    return "\n".join(path.read_text() for path in sorted(files) if path.name not in _TABLES)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ").strip()


def _rows(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return lines


def _page(title: str, *parts: Sequence[str] | str) -> str:
    lines = [_NOTE, "", f"# {title}", ""]
    for part in parts:
        lines += [part] if isinstance(part, str) else [*part]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


# --- settings and limits -----------------------------------------------------------


def _default(row: Setting) -> str:
    if row.default in (None, (), ""):
        return "-"
    if isinstance(row.default, bool):
        return f"`{str(row.default).lower()}`"
    return f"`{row.default}`"


def _range(row: Setting) -> str:
    about = row.about
    if about.choices:
        return ", ".join(about.choices)
    low, high = about.minimum, about.maximum
    ends = ("" if low is None else f"{low:g}", "" if high is None else f"{high:g}")
    return "-" if ends == ("", "") else f"{ends[0]} to {ends[1]}" if ends[1] else f"from {ends[0]}"


def _obeyed(row: Setting) -> bool:
    return re.search(rf"\.{row.key}\b", _sources()) is not None


def _setting_row(row: Setting) -> list[str]:
    words = row.about.help.rstrip(".") + "."
    if row.about.reload:
        words += " A reload takes it."
    if not _obeyed(row):
        words += " **No effect yet.**"
    flag = f"`{row.about.flag}`" if row.about.flag else "-"
    unit = row.about.unit or "-"
    return [f"`{row.key}`", _default(row), unit, _range(row), flag, f"`{row.env}`", words]


_SETTING_HEAD: Final = ("key", "default", "unit", "range", "flag", "environment", "meaning")


def settings_page() -> str:
    """Every section of the configuration file but the limits."""
    parts: list[Sequence[str] | str] = [_SETTINGS_INTRO]
    for section, declared in SECTIONS.items():
        if section == "limits":
            continue
        rows = [_setting_row(row) for row in SETTINGS if row.section == section]
        words = (declared.__doc__ or "").strip()
        parts += [f"## [{section}]", words, _rows(_SETTING_HEAD, rows)]
    parts += [
        "## [hooks.NAME]",
        _HOOKS_INTRO,
        _rows((*_SETTING_HEAD[:4], "meaning"), _hook_rows()),
    ]
    parts.append("The section `[limits]` has [a page of its own](limits.md).")
    return _page("Settings", *parts)


def _hook_rows() -> list[list[str]]:
    rows = [_setting_row(row) for row in HOOK_ROWS]
    return [[*row[:4], row[6]] for row in rows]


def hooks_page() -> str:
    """The table of events, and the roads that each goes."""
    rows = [
        (
            f"`{row.name}`",
            row.road.value,
            row.meaning,
            ", ".join(f"`{name}`" for name in (*row.also, *_after(row))) or "-",
        )
        for row in EVENT_TABLE
    ]
    return _page(
        "Events of agents, operators and hooks",
        _EVENT_TABLE_INTRO,
        _rows(("event", "goes to", "meaning", "also asked for as"), rows),
    )


def _after(row: EventName) -> list[str]:
    return [name for name in AFTER if row.name in AFTER[name]]


def limits_page() -> str:
    """The section `[limits]`."""
    rows = [row for row in SETTINGS if row.section == "limits"]
    agree = [row for row in rows if _PEERS_MUST_AGREE in row.about.help]
    head = ("key", "default", "unit", "range", "meaning")
    cells = [[*_setting_row(row)[:4], _setting_row(row)[6]] for row in rows]
    return _page(
        "Limits",
        "Everything that can grow has a bound, and all bounds stand in the section `[limits]` of "
        "the configuration. The environment knows each as `MNEMESH_LIMITS_` and its name in "
        "capitals. Members refuse what is above their own limit, so these are the same everywhere "
        f"or peers stop understanding each other: {', '.join(f'`{r.key}`' for r in agree)}.",
        _rows(head, cells),
    )


# --- what a running node tells -----------------------------------------------------


def events_page() -> str:
    """Names of log events."""
    used = {name for name in EVENTS if f'"{name}"' in _sources()} | {"library_message"}
    rows = [(f"`{n}`", level, meaning) for n, (level, meaning) in EVENTS.items() if n in used]
    spare = [(f"`{n}`", level, meaning) for n, (level, meaning) in EVENTS.items() if n not in used]
    parts: list[Sequence[str] | str] = [
        _EVENTS_INTRO,
        _rows(("event", "level", "meaning"), rows),
    ]
    if spare:
        parts += ["## Reserved names", "No code writes these yet."]
        parts.append(_rows(("event", "level", "meaning"), spare))
    return _page("Log events", *parts)


def metrics_page() -> str:
    """Names of metrics and of their label values where those are a closed set."""
    sources = _sources()
    moved = {m.name for m in METRICS if f'"{m.name.removeprefix("mnemesh_")}"' in sources}
    moved.add("mnemesh_build_info")

    def rows(*, alive: bool) -> list[Sequence[str]]:
        return [
            (f"`{m.name}`", m.kind.__name__.lower(), ", ".join(m.labels) or "-", m.help)
            for m in METRICS
            if (m.name in moved) is alive
        ]

    head = ("metric", "type", "labels", "meaning")
    parts: list[Sequence[str] | str] = [
        _METRICS_INTRO,
        _rows(head, rows(alive=True)),
        "## Reasons in `mnemesh_handshake_failures_total`",
        ", ".join(f"`{refusal.value}`" for refusal in Refusal) + ".",
    ]
    spare = rows(alive=False)
    if spare:
        parts += ["## Reserved names", "On the page, but no code moves them yet."]
        parts.append(_rows(head, spare))
    return _page("Metrics", *parts)


def _errors(root: type[NodeError]) -> list[type[NodeError]]:
    found = [root]
    for child in root.__subclasses__():
        found += _errors(child)
    return found


def exit_codes_page() -> str:
    """Exit codes, and the errors that lead to them."""
    rows: list[Sequence[object]] = [(0, "-", "-", "done")]
    for error in dict.fromkeys(_errors(NodeError)):
        # A class without a code of its own only groups others.
        if error.__module__ == "node.errors" and (error is NodeError or "code" in vars(error)):
            words = "anything else" if error is NodeError else (error.__doc__ or "").split(".\n")[0]
            status = error.http_status
            rows.append((int(error.exit_code), f"`{error.code}`", status, words.rstrip(".")))
    rows += [
        (int(code), "-", "-", "reserved") for code in (Exit.DOCTOR_WARNS, Exit.DOCTOR_CRITICAL)
    ]
    rows.append((130, "-", "-", "interrupted from the keyboard"))
    rows.sort(key=lambda row: int(str(row[0])))
    return _page(
        "Exit codes",
        "Every command ends with one of these; with `--json` the error is also one JSON object on "
        "stdout with `error`, `what`, `why`, `fix` and `exit_code`. Where a node answers a "
        "command with another refusal, 400, 405 and 413 end it with 2, 401 and 403 with 4, all "
        "else with 1.",
        _rows(("exit code", "error", "HTTP status", "meaning"), rows),
    )


# --- what can be asked -------------------------------------------------------------

_WHO: Final = {
    Needs.OPEN: "anybody",
    Needs.AGENT: "API key",
    Needs.OPERATOR: "API key (operator)",
    Needs.PEER: "allowlisted certificate",
}


def routes_page() -> str:
    """The table of routes."""
    rows = [
        (
            r.method,
            f"`{r.path}`",
            _WHO[r.needs],
            "-" if r.touches is Touches.NOTHING else r.touches.value,
            r.summary,
        )
        for r in ROUTES
    ]
    return _page(
        "Routes",
        "Where no API key is configured, loopback or an allowlisted certificate takes the place of "
        "the key, for the operator loopback alone. Any other path is 404, any other method 405.",
        _rows(("method", "path", "who", "memories", "what"), rows),
    )


def _value_name(parameter: Any) -> str:
    if parameter.is_flag:
        return ""
    kind = getattr(parameter.type_descriptor, "annotation", str)
    return " " + (parameter.metavar or getattr(kind, "__name__", "text").upper())


def _command(words: str, command: Any) -> list[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    usage = [words]
    if options:
        usage.append("[OPTIONS]")
    usage += [
        name if p.required or name.startswith("[") else f"[{name}]"
        for p, name in ((p, p.metavar or p.name.upper()) for p in arguments)
    ]
    summary = " ".join((command.help or "").split())
    lines = [f"## {words}", "", summary, "", "```text", " ".join(usage), "```"]
    rows = [(f"`{p.metavar or p.name.upper()}`", p.help) for p in arguments if p.help]
    for p in options:
        words_of = p.help or ""
        if p.envvar:
            words_of += f" (env {p.envvar})"
        rows.append((f"`{', '.join(p.opts)}{_value_name(p)}`", words_of))
    return [*lines, "", *_rows(("option", "meaning"), rows), ""] if rows else [*lines, ""]


def commands_page() -> str:
    """The help of every command."""
    group: Any = typer.main.get_command(command_tree())
    lines: list[str] = []
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            for inner, leaf in command.commands.items():
                lines += _command(f"mnemesh {name} {inner}", leaf)
        else:
            lines += _command(f"mnemesh {name}", command)
    return _page(
        "Commands",
        "`python -m node` is the same command. Without `--data-dir` a command means the node in "
        "the platform folders. `--json` gives one JSON document on stdout and words on stderr. "
        "How a command ends is told by its [exit code](exit-codes.md).",
        lines,
    )


def failpoints_page() -> str:
    """Places where a node fails by order, in a test build."""
    rows = [(f"`{name}`", where, moment) for name, (where, moment) in POINTS.items()]
    return _page("Failpoints", _FAILPOINTS_INTRO, _rows(("point", "where", "the moment"), rows))


PAGES: Final[dict[str, Callable[[], str]]] = {
    "commands.md": commands_page,
    "events.md": events_page,
    "exit-codes.md": exit_codes_page,
    "failpoints.md": failpoints_page,
    "hooks.md": hooks_page,
    "limits.md": limits_page,
    "metrics.md": metrics_page,
    "routes.md": routes_page,
    "settings.md": settings_page,
}


def main() -> int:
    """Write the pages that changed and say which."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        path, text = FOLDER / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
