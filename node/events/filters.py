"""Which events a stream or a subscription wants.

Law: a filter only narrows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from node.events.names import asked_names, canonical
from node.events.telling import Told
from node.limits import Limits
from node.memory.rules import namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is wanted.

    Attributes:
        events: names; None for all.
        namespace: exactly there; empty for everywhere.
    """

    events: frozenset[str] | None = None
    namespace: str = ""

    def wants(self, told: Told) -> bool:
        """Whether an event passes."""
        if self.namespace and told.namespace != self.namespace:
            return False
        return self.events is None or told.name in self.events


def read_filter(params: Mapping[str, Any], limits: Limits) -> Filter:
    """The filter of a request.

    Raises:
        node.memory.problems.InvalidField: a name of no event, or no namespace.
    """
    names = asked_names("events", params["events"]) if params.get("events") else []
    space = params.get("namespace")
    return Filter(
        events=canonical(names), namespace=namespace("namespace", space, limits) if space else ""
    )
