"""The part of curl that the documents use, for machines without it."""

import argparse
import ssl
import sys
import urllib.error
import urllib.request


def main() -> int:
    """Ask once and print the answer; 22 for an error status under -f, as curl does."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-f", action="store_true")
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("-X", default=None)
    parser.add_argument("-d", default=None)
    parser.add_argument("--cacert", default=None)
    parser.add_argument("url")
    given = parser.parse_args()
    headers = dict(line.split(": ", 1) for line in given.H)
    data = given.d.encode() if given.d is not None else None
    request = urllib.request.Request(given.url, data, headers, method=given.X)  # noqa: S310 - a test's own URL
    context = ssl.create_default_context(cafile=given.cacert) if given.cacert else None
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310 - as above
            sys.stdout.write(answer.read().decode())
    except urllib.error.HTTPError as error:
        sys.stdout.write("" if given.f else error.read().decode())
        return 22 if given.f else 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
