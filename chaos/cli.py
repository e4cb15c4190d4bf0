"""The command line of campaigns.

Law: exit code 0 is a campaign without a failed cycle, 1 one with, 2 a wish that cannot be carried
out, 3 a mesh that did not come back, or no room for the history. What is printed for people goes to
the terminal as it happens; `--json` prints one document at the end and nothing else on stdout.
"""

import argparse
import signal
import sys
from collections.abc import Sequence

from chaos.campaign import command as campaign
from chaos.check import command as check
from chaos.maelstrom import command as maelstrom
from chaos.power import command as power
from chaos.report import command as report


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    made = argparse.ArgumentParser(
        prog="mnemesh chaos",
        description="Break a mesh of real nodes on purpose, under load, and judge what is left.",
    )
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for each in (campaign, check, report, power, maelstrom):
        each.add_command(commands)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = parser().parse_args(arguments)
    # The first process of a pid namespace has no default for it: it would be deaf.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_interrupt)
    # A room is entered with these held back, until somebody listens.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        return int(given.run(given))
    except KeyboardInterrupt:
        pass
    except BaseExceptionGroup as group:
        if group.split(KeyboardInterrupt)[1] is not None:
            raise
    sys.stderr.write("stopped; `--resume` goes on where it was\n")
    return 130


def _as_interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
