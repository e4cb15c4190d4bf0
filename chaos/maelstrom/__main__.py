"""`python -m chaos.maelstrom` is `python -m chaos maelstrom`.

Law: nothing of its own.
"""

import argparse
import sys

from chaos.maelstrom.command import add_command


def main() -> int:
    """Read the command line and play."""
    parser = argparse.ArgumentParser(prog="python -m chaos")
    subparsers = parser.add_subparsers(required=True)
    add_command(subparsers)
    args = parser.parse_args(["maelstrom", *sys.argv[1:]])
    code: int = args.run(args)
    return code


if __name__ == "__main__":
    sys.exit(main())
