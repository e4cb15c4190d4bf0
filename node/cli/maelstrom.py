"""`mnemesh maelstrom`: the replication core under the Maelstrom node protocol.

Law: it reads no settings, opens no file and no socket; standard input and output are all.
"""

import os
from typing import Annotated, Final

import typer

from node.errors import UsageError
from node.maelstrom.loop import say, serve
from node.maelstrom.machine import FLUSH_MS, QUORUM_MS, Machine
from node.maelstrom.workloads import WORKLOADS

_FLUSH_MS_MAX: Final = 10_000
_QUORUM_MS_MAX: Final = 60_000


def maelstrom(
    *,
    workload: Annotated[
        str,
        typer.Option(
            help="Which workload is played; told from the requests when left out.",
            metavar="|".join(WORKLOADS),
            show_default=False,
        ),
    ] = "",
    quorum_writes: Annotated[
        int,
        typer.Option(
            min=0, help="How many nodes keep an add before it is acknowledged; 0: a majority."
        ),
    ] = 1,
    quorum_timeout_ms: Annotated[
        int, typer.Option(min=1, max=_QUORUM_MS_MAX, help="How long an add waits for them.")
    ] = QUORUM_MS,
    flush_ms: Annotated[
        int,
        typer.Option(
            min=0, max=_FLUSH_MS_MAX, help="Least time between two messages with data to a peer."
        ),
    ] = FLUSH_MS,
) -> None:
    """Speak the Maelstrom node protocol on standard input and output, for Jepsen's workbench."""
    if workload and workload not in WORKLOADS:
        raise UsageError(f"there is no workload {workload!r}", fix=f"One of {', '.join(WORKLOADS)}")
    machine = Machine(
        wanted_w=quorum_writes,
        workload=workload,
        flush_ms=flush_ms,
        quorum_ms=quorum_timeout_ms,
        entropy=os.urandom,
        say=say,
    )
    serve(machine)
