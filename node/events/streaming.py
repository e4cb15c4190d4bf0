"""What the HTTP face is given of events.

Law: values and call-backs only; whoever composes the node fills them in.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from node.events.feed import Bell
from node.events.sight import Departed
from node.events.subscriptions import Counts


def _nothing(_ident: str) -> tuple[int, int]:
    return 0, 0


@dataclass(slots=True, kw_only=True)
class Events:
    """What the HTTP face is given of events.

    Attributes:
        bell: wakes streams.
        departed: what is known of records that went.
        counts: deliveries of a subscription on this node.
        loopback: whether webhooks may lead to this machine.
        node_id: hex id of this node.
    """

    bell: Bell = field(default_factory=Bell)
    departed: Departed = field(default_factory=Departed)
    counts: Counts = _nothing
    loopback: Callable[[], bool] = lambda: False
    node_id: str = ""
