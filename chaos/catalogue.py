"""The classes of faults, as one table.

Law: a class is here or nowhere: `chaos list`, plans, reports and the runbook read this table, and
an injector that names no row of it is refused. What the machine cannot inject is reported as not
run, with the reason, and never passes.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultClass:
    """One class.

    Attributes:
        code: `F01` and so on.
        name: in a few words.
        must_hold: beside the law of all classes: nothing acknowledged is lost, nothing is invented
            or doubled, all nodes are equal after the heal.
        acknowledged_least: share of writes that must be acknowledged, or the cycle is void; 0 where
            by its nature nothing can be.
    """

    code: str
    name: str
    must_hold: str = ""
    acknowledged_least: float = 0.2


_ROWS: Final = (
    ("F01", "minority partition", "the minority answers 503 within its timeout; reads go on"),
    ("F02", "no majority anywhere", "every side answers 503; reads go on"),
    ("F03", "lost acknowledgements", "one direction is cut: no yes without the quorum's word"),
    ("F04", "bridge", "two halves share one node, and order is not laundered through it"),
    ("F05", "ring", "each node reaches its neighbours only; all learn all"),
    ("F06", "flapping link", "no storm of dials"),
    ("F07", "links stalled and freed in other orders", "order of arrival decides nothing"),
    ("F08", "packet loss", "1, 10 and 30 of a hundred; answers within timeout + 250 ms"),
    ("F09", "latency with jitter", "50, 250 and 1000 ms; answers within timeout + 250 ms"),
    ("F10", "little bandwidth", "256 kbit/s; catch-up always progresses"),
    ("F11", "duplicated and replayed bytes", "the state is unchanged, replays are refused"),
    ("F12", "half-open connection", "noticed and dialled anew"),
    ("F13", "reset in mid-answer", "a retry with its key has no second effect"),
    ("F14", "message cut at byte k", "nothing is applied half"),
    ("F15", "peer at one byte a second", "memory stays bounded, others are served"),
    ("F16", "slow disk", "writes wait or are refused, none is lost"),
    ("F17", "writer killed between commit and acknowledgement", "the write may surface, once"),
    ("F18", "killed at a failpoint", "every point from commit to migration, in turn"),
    ("F19", "all nodes killed at once", "all come back with all that was acknowledged"),
    ("F20", "stopped for a while", "full catch-up after SIGCONT"),
    ("F21", "rolling restart under load", "each drains within 10 s"),
    ("F22", "power loss", "every legal image of the disk opens with all acknowledged writes"),
    ("F23", "fsync fails", "no yes after EIO"),
    ("F24", "disk full", "reads go on; writes resume with the space"),
    ("F25", "map full", "grows, or refuses cleanly"),
    ("F26", "bit flips at rest", "never served, never replicated"),
    ("F27", "torn page, truncated file", "never served; rebuilt from peers"),
    ("F28", "no file descriptors", "sheds load, recovers"),
    ("F29", "memory limit", "sheds load, recovers"),
    ("F30", "clock skew", "causal order is unaffected"),
    ("F31", "jumping clock", "causal order is unaffected"),
    ("F32", "clock far in the future", "no local clock follows it"),
    ("F33", "stamps from the future", "refused at the author's own link; a later honest edit wins"),
    ("F34", "expired certificate", "refused before anything is parsed"),
    ("F35", "certificate rotated under load", "no write fails for it"),
    ("F36", "removed from the list in flight", "nothing is served one second later"),
    (
        "F37",
        "strangers of every kind",
        "refused unparsed; nothing of it is logged",
    ),
    ("F38", "restored from an old copy", "no dot is used twice"),
    ("F39", "total loss of one node", "it comes back from its peers"),
    ("F40", "two processes with one identity", "the twin is found and refused"),
    ("F41", "malformed peer", "nothing applied, the link closed, others unaffected"),
    ("F42", "oversized peer", "memory stays bounded"),
    ("F43", "forging peer", "nothing applied that its author did not sign"),
    ("F44", "equivocating peer", "evidence is kept"),
    ("F45", "version skew", "a clear refusal or tolerance"),
    ("F46", "downgrade", "the store of a newer schema is refused and untouched"),
    (
        "F47",
        "absence longer than the log",
        "a snapshot brings it level; nothing comes back",
    ),
    ("F48", "all rejoin at once", "no storm; all level"),
    ("F49", "an operation that cannot be delivered", "nothing behind it waits"),
    ("F50", "policy tightened against a concurrent write", "the same verdict everywhere"),
)
# Nothing can be acknowledged while these last, so the share says nothing about them.
_MOSTLY_UNACKNOWLEDGED: Final = frozenset({"F02", "F19", "F22", "F48"})
HEADLINE: Final = ("F17", "F01", "F03", "F30")

CATALOGUE: Final[dict[str, FaultClass]] = {
    code: FaultClass(
        code=code,
        name=name,
        must_hold=must_hold,
        acknowledged_least=0.0 if code in _MOSTLY_UNACKNOWLEDGED else 0.2,
    )
    for code, name, must_hold in _ROWS
}
