"""The decoders of the core under a coverage-guided fuzzer; optional, nothing depends on it.

    pip install atheris
    python -m tests.property.atheris_core message -runs=1000000

Atheris has wheels for some versions of Python and some platforms only, so it is in no lock file;
the everyday fuzz is `test_fuzz_core.py`. Any argument after the decoder's name is libFuzzer's.
"""

import importlib
import sys


def main() -> int:
    """Fuzz one decoder until something other than its typed error comes out."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["crdt", "node.peers", "node.replication"]):
        from tests.property.test_fuzz_core import DECODERS, attempt  # noqa: PLC0415 - instrumented
    if len(sys.argv) < 2 or sys.argv[1] not in DECODERS:
        print(f"name one of: {', '.join(DECODERS)}", file=sys.stderr)
        return 2
    name = sys.argv.pop(1)

    def once(data: bytes) -> None:
        attempt(name, data)

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
