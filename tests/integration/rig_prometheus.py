"""A real Prometheus on loopback, fed with the configuration and the rules that are shipped.

Law: what is changed for a test is where things are and how long they take, never what is asked:
targets, files, intervals, and in a hurried copy of the rules every duration and every threshold
that counts seconds.
"""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.parse
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.integration.rig import RealNode, free_ports, until

ROOT: Final = Path(__file__).parents[2]
SHIPPED: Final = ROOT / "deploy" / "prometheus"
RULES: Final = SHIPPED / "mnemesh.rules.yml"
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RANGE: Final = re.compile(r"\[(\d+)([smhd])\]")
_LEAST_RANGE_S: Final = 8
_LEAST_HOLD_S: Final = 3

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="this machine has no prometheus and promtool (Debian: apt install prometheus)",
)


def promtool(*words: object, text: str | None = None, cwd: Path | None = None) -> str:
    """What promtool says; fails with it when it is not content."""
    ran = subprocess.run(
        [str(shutil.which("promtool")), *map(str, words)],
        input=text,
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def seconds_of(span: str) -> float:
    """`90s`, `5m`, `1h` in seconds."""
    return float(span[:-1]) * _UNITS[span[-1]]


def hurried(rules: str, factor: float, thresholds: Mapping[str, str]) -> str:
    """The rules with every duration divided, and with some texts replaced.

    Args:
        rules: the text of the file.
        factor: divides `for` and ranges; a range keeps room for a few scrapes.
        thresholds: text that must stand in the rules -> what stands there instead.
    """
    for old, new in thresholds.items():
        assert old in rules, f"no rule says {old!r} any more"
        rules = rules.replace(old, new)

    def shorter(found: re.Match[str]) -> str:
        span = seconds_of(found[1] + found[2]) / factor
        return f"[{max(round(span), _LEAST_RANGE_S)}s]"

    told: dict[str, Any] = yaml.safe_load(_RANGE.sub(shorter, rules))
    for group in told["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = f"{max(round(seconds_of(rule['for']) / factor), _LEAST_HOLD_S)}s"
    return yaml.safe_dump(told, sort_keys=False)


def configured(
    name: str, nodes: Sequence[RealNode], files: Mapping[str, Path], *, every: str = "1s"
) -> str:
    """A shipped configuration over these nodes.

    Args:
        name: of the file in `deploy/prometheus/`.
        nodes: the targets, by their own listeners.
        files: key in the configuration -> the file that takes the place of the one named there.
        every: how often is scraped and judged.
    """
    told: dict[str, Any] = yaml.safe_load((SHIPPED / name).read_text())
    told["global"] = dict.fromkeys(told["global"], every)
    (job,) = told["scrape_configs"]
    job["static_configs"][0]["targets"] = [node.url.removeprefix("https://") for node in nodes]
    left = dict(files)
    for section in (job.get("authorization", {}), job["tls_config"]):
        for key in section:
            if key.endswith("_file"):
                section[key] = str(left.pop(key))
    assert not left, f"{name} names no {sorted(left)}"
    return yaml.safe_dump(told, sort_keys=False)


@dataclass
class Prometheus:
    """One that runs."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    def ask(self, path: str, **query: str) -> Any:
        """`data` of an answer of its API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(query)}")
            answer = connection.getresponse()
            told = json.loads(answer.read())
        finally:
            connection.close()
        assert told["status"] == "success", f"{query}: {told}"
        return told["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The present result of an expression: samples with `metric` and `value`."""
        rows: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return rows

    def targets(self) -> dict[str, str]:
        """Health of every target, with the last error of one that is not up."""
        active = self.ask("targets", state="active")["activeTargets"]
        return {
            one["labels"]["instance"]: one["health"]
            + (one["lastError"] and f": {one['lastError']}")
            for one in active
        }

    def firing(self) -> set[str]:
        """Names of the alerts that are lit."""
        alerts = self.ask("alerts")["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def until_scraped(self) -> None:
        """Wait until every target is up."""
        until(
            lambda: set(self.targets().values()) == {"up"},
            "every target is up",
            seen=lambda: str(self.targets()),
        )

    def tail(self) -> str:
        return (self.folder / "prometheus.log").read_text(errors="replace")[-2000:]


@contextmanager
def scraping(folder: Path, config: str, rules: str | None = None) -> Any:
    """A Prometheus with this configuration, beside the rules; ended after the block."""
    folder.mkdir(parents=True)
    (folder / "prometheus.yml").write_text(config)
    (folder / RULES.name).write_text(RULES.read_text() if rules is None else rules)
    promtool("check", "config", folder / "prometheus.yml")
    (port,) = free_ports(1)
    dying = shutil.which("setpriv")  # with a harness that is killed
    words = [
        *((dying, "--pdeathsig", "KILL", "--") if dying else ()),
        *(str(shutil.which("prometheus")), f"--config.file={folder / 'prometheus.yml'}"),
        *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"),
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            words, stdout=log, stderr=log, cwd=folder, start_new_session=True, env=_plain()
        )
    found = Prometheus(port, folder, process)
    try:
        until(lambda: _is_ready(found), "Prometheus is ready", seen=found.tail)
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(found: Prometheus) -> bool:
    assert found.process.poll() is None, found.tail()
    connection = http.client.HTTPConnection("127.0.0.1", found.port, timeout=5)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _plain() -> dict[str, str]:
    """Without proxies: everything is on loopback."""
    return {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
