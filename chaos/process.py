"""One node as a process of its own.

Law: a node is started by the command line that an operator would type, and ended by the pid it
was started under, never by a name. Where it may not write, run or wait is put on it from outside,
and taken off again. It dies with the harness.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from chaos.certs import Pair
from chaos.network.places import Place
from chaos.sandbox import is_inside

_END_S: Final = 20.0
_TAIL_LINES: Final = 6


class NodeEndedError(RuntimeError):
    """A node that was to run has ended; the message holds the end of its log."""


@dataclass(kw_only=True)
class NodeProcess:
    """A node that is, or can be, a process.

    Attributes:
        place: where it stands.
        data_dir: its folder; config, store, keys.
        pair: certificate and key it serves with.
        allowlist: file of the fingerprints it admits.
        flags: of `serve`, beside those of place and files.
        program: what runs it, as `python -P -m node`.
        environment: beside the harness's own.
        tracer: a running `strace` that is on it.
        deaths: ends that nobody waited for, with what the node said last.
    """

    place: Place
    data_dir: Path
    pair: Pair
    allowlist: Path
    flags: Sequence[str] = ()
    program: Sequence[str] = (sys.executable, "-P", "-m", "node")
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    tracer: subprocess.Popen[bytes] | None = None
    deaths: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the node."""
        return self.place.name

    @property
    def log(self) -> Path:
        """What it said, one JSON object a line."""
        return self.data_dir.parent / f"{self.name}.log"

    @property
    def orders(self) -> Path:
        """The folder in which it looks for faults to play."""
        return self.data_dir.parent / f"{self.name}.faults"

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process.

        Raises:
            NodeEndedError: it does not run.
        """
        if self.process is None or not self.runs:
            raise NodeEndedError(f"{self.name} does not run: {self.tail()}")
        return self.process.pid

    def command(self) -> list[str]:
        """The whole command line."""
        place = self.place
        words = [
            *(*self.program, "serve", "--data-dir", str(self.data_dir), "--name", self.name),
            *("--host", place.host, "--port", str(place.port)),
            *("--agent-listen", f"127.0.0.1:{place.agent_port}"),
            *("--tls-cert", str(self.pair.certificate), "--tls-key", str(self.pair.key)),
            *("--mtls-allowlist", str(self.allowlist), *self.flags),
        ]
        if not is_inside():
            words = [*_dying_with_us(), *words]
        return place.command(*words)

    def start(self) -> None:
        """Start the process and do not wait.

        Raises:
            NodeEndedError: it runs already.
        """
        if self.runs:
            raise NodeEndedError(f"{self.name} runs already")
        self.note_death()
        self.orders.mkdir(exist_ok=True)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MNEMESH_", "XDG_"))}
        with self.log.open("ab") as log:
            # Not by trio: it would start it from a thread that ends, and with it the node.
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean | {"MNEMESH_FAULTS": str(self.orders)} | self.environment,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it is there."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def pause(self) -> None:
        """SIGSTOP."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    async def kill(self) -> None:
        """SIGKILL, and wait until the kernel has taken it away."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def stop(self) -> int:
        """SIGTERM; returns the exit code.

        Raises:
            NodeEndedError: it did not end in time; it is killed then.
        """
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self, seconds: float = _END_S) -> int:
        """Wait for its end; returns the exit code, negative for a signal.

        Raises:
            NodeEndedError: it did not end in time; it is killed then.
        """
        process = self.process
        if process is None:
            return 0
        if process.poll() is None:
            try:
                watched = os.pidfd_open(process.pid)
            except ProcessLookupError:
                watched = -1
            if watched >= 0:
                with trio.move_on_after(seconds):
                    await trio.lowlevel.wait_readable(watched)
                os.close(watched)
        code = process.poll()
        if code is None:
            process.kill()
            process.wait()
            self.process = None
            raise NodeEndedError(f"{self.name} did not end within {seconds:g} s: {self.tail()}")
        self.process = None
        await self.untrace()
        return code

    def note_death(self) -> None:
        """Take note of an end that nobody has waited for: no injector meant it."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self.deaths.append(f"{self.name} ended with {code}: {self.tail()}")
            self.process = None

    # --- orders to play a fault -------------------------------------------------------

    def order(self, point: str, what: str) -> None:
        """Tell the node to play a fault at a point; see `failpoints` in docs/operations.md."""
        self.orders.mkdir(exist_ok=True)
        (self.orders / f"{point}.fired").unlink(missing_ok=True)
        fresh = self.orders / f".{point}"
        fresh.write_text(f"{what}\n")
        fresh.rename(self.orders / point)

    def fired(self, point: str) -> bool:
        """Whether an order was carried out."""
        return (self.orders / f"{point}.fired").exists()

    def said(self, point: str) -> str:
        """What a node wrote when it carried an order out; empty until it has."""
        try:
            return (self.orders / f"{point}.fired").read_text().strip()
        except FileNotFoundError:
            return ""

    def clear_orders(self) -> None:
        """Take back all orders."""
        for path in self.orders.glob("*"):
            path.unlink(missing_ok=True)

    # --- system calls -------------------------------------------------------------------

    async def trace(self, *inject: str) -> None:
        """Let system calls of the running node fail or wait.

        Args:
            inject: as for `strace -e inject=`, such as `fdatasync:error=EIO`.

        Raises:
            OSError: strace could not attach.
        """
        path = shutil.which("strace")
        if path is None:
            raise FileNotFoundError("strace is not installed")
        said = self.data_dir.parent / f"{self.name}.strace"
        words = [path, "-f", "-q", "-o", str(said), "-p", str(self.pid)]
        calls = ",".join(sorted({rule.partition(":")[0] for rule in inject}))
        words += ["-e", f"trace={calls}", *(w for rule in inject for w in ("-e", f"inject={rule}"))]
        self.tracer = subprocess.Popen(words, stderr=subprocess.PIPE)
        with trio.move_on_after(5):
            while not self._is_traced():
                if self.tracer.poll() is not None:
                    stderr = self.tracer.stderr
                    raise OSError(f"strace: {stderr.read().decode() if stderr else ''}")
                await trio.sleep(0.01)

    def injected(self) -> int:
        """How many calls strace has made fail or wait."""
        said = self.data_dir.parent / f"{self.name}.strace"
        return said.read_text(errors="replace").count("INJECTED") if said.exists() else 0

    async def untrace(self) -> None:
        """Take strace off; the node goes on."""
        if self.tracer is not None:
            self.tracer.send_signal(signal.SIGINT)
            with trio.move_on_after(5):
                while self.tracer.poll() is None:
                    await trio.sleep(0.01)
            if self.tracer.poll() is None:
                self.tracer.kill()
            self.tracer.wait()
            if self.tracer.stderr is not None:
                self.tracer.stderr.close()
            self.tracer = None

    def _is_traced(self) -> bool:
        """Whether every thread is."""
        tasks = Path(f"/proc/{self.pid}/task")
        lines = [(task / "status").read_text() for task in tasks.iterdir()]
        return all("TracerPid:\t0\n" not in text for text in lines)

    # --- looking --------------------------------------------------------------------------

    def tail(self) -> str:
        """The end of its log."""
        if not self.log.exists():
            return "(no log)"
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join(line[:300] for line in lines)

    def resident_bytes(self) -> int:
        """Anonymous memory that it holds."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        return 0


def _dying_with_us() -> Mapping[str, None] | list[str]:
    """Words that make a process die with its parent, where no room does it."""
    path = shutil.which("setpriv")
    return [path, "--pdeathsig", "KILL", "--"] if path else []
