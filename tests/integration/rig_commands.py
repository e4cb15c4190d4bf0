"""Command lines against real nodes, as processes of their own."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.rig import RealNode, clean_environment, free_ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def mnemesh(*args: object, node: RealNode | None = None) -> Ran:
    """Run a command about a node; whatever it ends with."""
    target = () if node is None else ("--data-dir", str(node.data_dir))
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "node", *map(str, args), *target],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment() | {"NO_COLOR": "1"},
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return Ran(code=ran.returncode, out=ran.stdout, err=ran.stderr)


def told(*args: object, node: RealNode | None = None) -> Any:
    """The JSON of a command that must succeed."""
    ran = mnemesh(*args, "--json", node=node)
    assert ran.code == 0, f"{args}: {ran.code}\n{ran.out}\n{ran.err}"
    return ran.json


def newcomer(folder: Path, name: str) -> RealNode:
    """A node with an identity of its own, as `init` makes it; it is not started."""
    data_dir = folder / name
    peer, agent = free_ports(2)
    made = told("init", "--name", name, "--data-dir", data_dir)
    flags = ["--host", "127.0.0.1", "--port", str(peer), "--agent-listen", f"127.0.0.1:{agent}"]
    return RealNode(
        name=name,
        data_dir=data_dir,
        flags=flags,
        agent=("127.0.0.1", agent),
        api_key=(data_dir / "keys" / "api_key").read_text().strip(),
        url=f"https://127.0.0.1:{peer}",
        fingerprint=made["fingerprint"],
    )
