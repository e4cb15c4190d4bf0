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
    if sys.argv[1:2] != ["serve"]:
        sys.exit(run(sys.argv[1:]))
    from node.process.leaving import Leaving  # noqa: PLC0415 -- a node alone has threads to wait for

    leaving, code = Leaving(), 1
    try:
        code = run(sys.argv[1:])
    finally:
        leaving.begin(code)
    sys.exit(code)


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
