"""`python -m node` is the command `mnemesh`."""

from node.cli import main

main()
