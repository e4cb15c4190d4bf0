"""`mnemesh` without the start of an interpreter: a process that has read the program forks.

Law: what runs is the entry point of the console script, in a process of its own, with the
arguments, environment, folder and open files of whoever called; only its imports are done
already. Documents are long, and most of the time of a short command is its imports.

    python -m tests.architecture.docs_warm SOCKET     serves until it is terminated
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, Final

from tests.architecture.docs_blocks import ROOT

_REQUEST_BYTES_MAX: Final = 1 << 20
_READY_SECONDS: Final = 30.0
# Run without site packages, so that it starts in a few milliseconds.
_CLIENT: Final = """\
#!{python} -IS
import json, os, socket, sys
link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
link.connect({path!r})
asked = json.dumps([sys.argv, dict(os.environ), os.getcwd()]).encode()
link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
socket.send_fds(link, [asked], [0, 1, 2])
sys.exit(int(link.recv(16) or b"1"))
"""


class Warm:
    """The forking process, and a command in a folder that speaks to it.

    Args:
        tools: folder that gets `mnemesh`; it has to stand in the path.
    """

    def __init__(self, tools: Path) -> None:
        path = tools / "warm"
        command = tools / "mnemesh"
        command.write_text(_CLIENT.format(python=sys.executable, path=str(path)))
        command.chmod(0o755)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.architecture.docs_warm", str(path)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        timer = threading.Timer(_READY_SECONDS, self._process.kill)
        timer.start()
        ready = self._process.stdout.readline()
        timer.cancel()
        assert ready, "the process that forks commands did not start"

    def end(self) -> None:
        """End it, and every command that still runs."""
        assert self._process.stdout is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()


def _serve(path: str) -> None:
    # In the process that forks alone, and before it does.
    from node.cli import app, main  # noqa: PLC0415 - see above

    app.command_tree()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            link, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _answer(link, main)
            link.close()


def _answer(link: socket.socket, main: Any) -> None:
    """In a process that does nothing else: run the command and say how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if os.fork() == 0:
        asked, files, _, _ = socket.recv_fds(link, _REQUEST_BYTES_MAX, 3)
        link.close()
        _become(json.loads(asked), files)
        _run(main)
    _, status = os.wait()
    link.send(b"%d" % (os.waitstatus_to_exitcode(status) & 0xFF))
    os._exit(0)


def _become(asked: tuple[list[str], dict[str, str], str], files: list[int]) -> None:
    argv, environment, folder = asked
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = argv
    sys.orig_argv = [sys.executable, *argv]


def _run(main: Any) -> None:
    code = 1
    try:
        code = int(main() or 0)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - what an interpreter would print
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1])
