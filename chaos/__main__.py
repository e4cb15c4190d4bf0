"""`python -m chaos`; `mnemesh chaos` is the same."""

import sys

from chaos.cli import main

sys.exit(main())
