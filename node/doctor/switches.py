"""The switches that weaken a node, for staging a rollout.

Law: one row each. Every weakened switch is a warning line at the start and on a reload, a gauge
that is 1, and a critical finding of the doctor; nothing is weakened in silence.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from node.logs import EventLog
from node.metrics import Metrics
from node.settings import Settings

MODE: Final = "permissions.mode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One setting that can weaken a node.

    Attributes:
        section: of the configuration.
        key: in that section.
        strong: the value that protects.
        section_of_doctor: where the doctor reports it.
        means: what follows while it is weakened.
    """

    section: str
    key: str
    strong: object
    section_of_doctor: str
    means: str

    @property
    def name(self) -> str:
        """As an operator writes it."""
        return f"{self.section}.{self.key}"

    def value(self, settings: Settings) -> object:
        """What it is set to."""
        return getattr(getattr(settings, self.section), self.key)

    def is_weakened(self, settings: Settings) -> bool:
        """Whether it does not protect."""
        return self.value(settings) != self.strong


SWITCHES: Final = (
    Switch(
        section="federation",
        key="require_signature",
        strong=True,
        section_of_doctor="exposure",
        means="a push over REST needs a certificate and no signature",
    ),
    Switch(
        section="federation",
        key="require_nonce",
        strong=True,
        section_of_doctor="exposure",
        means="a recorded push over REST can be replayed",
    ),
    Switch(
        section="permissions",
        key="mode",
        strong="enforce",
        section_of_doctor="governance",
        means="what policies forbid is written here all the same",
    ),
    Switch(
        section="governance",
        key="fail_open_on_error",
        strong=False,
        section_of_doctor="governance",
        means="an error in this node's gate lets the request pass",
    ),
)


def weakened(settings: Settings, section_of_doctor: str | None = None) -> Iterator[Switch]:
    """The switches that do not protect, of one section of the doctor or of all."""
    for switch in SWITCHES:
        if section_of_doctor in (None, switch.section_of_doctor) and switch.is_weakened(settings):
            yield switch


def shown(value: object) -> str:
    """A value as the configuration file spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class Switches:
    """Tells the log, the metrics and the audit chain which settings do not protect.

    Args:
        metrics: the table of metrics.
        log: writes events.
    """

    def __init__(self, *, metrics: Metrics, log: EventLog) -> None:
        self._metrics = metrics
        self._log = log
        self._record: Callable[..., None] | None = None
        self._weak: dict[str, str] = {}

    def audited_by(self, record: Callable[..., None]) -> None:
        """Tell the audit chain too, from now on and what holds now: the event, then facts."""
        self._record = record
        for name, value in self._weak.items():
            record("switch_weakened", switch=name, value=value)

    def tell(self, settings: Settings) -> None:
        """Set the gauge of every switch, and warn about each that does not protect."""
        before = self._weak
        self._weak = {s.name: shown(s.value(settings)) for s in weakened(settings)}
        for switch in SWITCHES:
            name, value = switch.name, self._weak.get(switch.name)
            self._metrics.gauge("security_switch_weakened", name).set(value is not None)
            if value is not None:
                self._log("switch_weakened", switch=name, value=value, means=switch.means)
            if self._record is not None and value != before.get(name):
                if value is None:
                    self._record("switch_restored", switch=name)
                else:
                    self._record("switch_weakened", switch=name, value=value)
