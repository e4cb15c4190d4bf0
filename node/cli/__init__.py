"""The command `mnemesh`.

Law: answers go to stdout, words to stderr; with `--json` stdout is one JSON document and
nothing else. Every failure ends in one of the exit codes of `node.errors` and a message that
says what happened, why, and what to do. The store of a running node is never opened here:
commands talk to the node.
"""

import sys
from collections.abc import Sequence


def main() -> None:
    """Entry point of the console script and of `python -m node`."""
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run one command line.

    Args:
        args: the arguments, without the program's name.

    Returns:
        The exit code.
    """
    # Rich and Typer take a tenth of a second to import; who only wants a value of the
    # package should not pay for them.
    from node.cli.app import dispatch  # noqa: PLC0415 -- see above

    return dispatch(list(args))
