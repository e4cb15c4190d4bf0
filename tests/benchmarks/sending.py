"""Our own driver, started as a process of its own.

Law: an answer that is not good makes the measurement void. Everything that measures raises the
one error of this module when it cannot.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.resp import GOOD

_FINE: Final = frozenset({"200", "201", GOOD})
_DRIVER_SECONDS: Final = 900.0


class BenchmarkError(Exception):
    """A measurement could not be made; it says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where requests go.

    Attributes:
        url: scheme, host and port.
        key: API key to show, where one is asked for.
        certificate: files of the certificate and key of a client, where one is asked for.
    """

    url: str
    key: str | None = None
    certificate: tuple[Path, Path] | None = None


def own(place: Place, **spec: Any) -> dict[str, Any]:
    """Run our own driver once.

    Raises:
        BenchmarkError: it failed, or an answer was not good.
    """
    where: dict[str, Any] = {"url": place.url, "key": place.key}
    if place.certificate is not None:
        where["certificate"] = [str(path) for path in place.certificate]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.driver"],
            input=json.dumps({**where, **spec}),
            capture_output=True,
            text=True,
            timeout=_DRIVER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError("the driver did not end") from error
    if done.returncode:
        raise BenchmarkError(f"the driver failed: {done.stderr.strip()[-400:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    if set(told["statuses"]) - _FINE:
        raise BenchmarkError(f"not every answer was good: {told['statuses']}")
    return told
