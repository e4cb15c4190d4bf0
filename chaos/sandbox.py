"""The room a campaign plays in: process ids, mounts and a network of its own.

Law: whatever happens to the harness, the kernel takes everything down. Its first process is number
one of a new pid namespace, so when it dies all the others die with it; the network namespaces go
with their last process, the mounts with their namespace. Nothing here needs a clean-up that could
be left out. Where the machine does not give such a room, the campaign plays without it, every
node is told to die with its parent, and what needs a room is reported as not run.

Sources: unshare(2), pid_namespaces(7), user_namespaces(7), PR_SET_PDEATHSIG in prctl(2).
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000
_MS_REC_PRIVATE: Final = 0x4000 | 0x40000
_PR_SET_PDEATHSIG: Final = 1
_INSIDE: Final = "MNEMESH_CHAOS_ROOM"
_FORWARDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Means:
    """What this machine lets a campaign do; each is tried, not guessed.

    Attributes:
        namespaces: network namespaces of its own, with bridges and veth pairs.
        nft: packets can be dropped by rule.
        tbf: bandwidth can be limited by the kernel.
        mounts: small file systems can be mounted.
        strace: system calls of a node can be made to fail or to wait.
    """

    namespaces: bool = False
    nft: bool = False
    tbf: bool = False
    mounts: bool = False
    strace: bool = False

    def missing(self, needs: Sequence[str]) -> list[str]:
        """Which of the means named are not there."""
        return [name for name in needs if not getattr(self, name)]


def libc_call(name: str, *arguments: object) -> None:
    """Call a function of the C library that Python 3.11 does not offer.

    Raises:
        OSError: it said no.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def with_system_tools(path: str) -> str:
    """A search path that has the folders of `nft` and `tc`, which not every shell has."""
    folders = [folder for folder in path.split(os.pathsep) if folder]
    return os.pathsep.join(dict.fromkeys([*folders, "/usr/sbin", "/sbin"]))


def is_inside() -> bool:
    """Whether this process is the first one of a room."""
    return os.environ.get(_INSIDE) == "1" and os.getpid() == 1


def play_inside(command: Sequence[str]) -> int | None:
    """Run a command as the first process of a new room and wait for it.

    Args:
        command: with its full path.

    Returns:
        Its exit code, or None when the machine gives no room; then nothing was started.
    """
    if not _can_unshare():
        return None
    flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET
    uid, gid = os.getuid(), os.getgid()
    libc_call("unshare", flags | (CLONE_NEWUSER if uid else 0))
    if uid:
        _be_root_inside(uid, gid)
    ready, alive = os.pipe()
    # A room's first process is deaf to a signal without a handler: held back until the command has
    # one and lets them through, and here until they are forwarded, none is lost.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    child = os.fork()
    if child == 0:
        _become_first(ready, alive, command)
    os.close(ready)
    os.write(alive, b"1")
    return _wait(child, before)


def _can_unshare() -> bool:
    """Try it in a process that ends at once."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return False
    wanted = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"]
    if os.getuid():
        wanted += ["--user", "--map-root-user"]
    tried = subprocess.run([*wanted, "true"], capture_output=True, check=False)
    return tried.returncode == 0


def _be_root_inside(uid: int, gid: int) -> None:
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"0 {uid} 1")
    (own / "gid_map").write_text(f"0 {gid} 1")


def _become_first(ready: int, alive: int, command: Sequence[str]) -> None:
    """In the new process: die with the parent, hide its mounts, and be the command."""
    code = 70
    try:
        os.close(alive)
        libc_call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.read(ready, 1) == b"1":  # else the parent died before it was said
            libc_call("mount", None, b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None)
            libc_call("mount", b"proc", b"/proc", b"proc", ctypes.c_ulong(0), None)
            # Names of network namespaces are files there; they must not outlive the room.
            libc_call("mount", b"tmpfs", b"/run", b"tmpfs", ctypes.c_ulong(0), None)
            os.environ["PATH"] = with_system_tools(os.environ.get("PATH", ""))
            os.execve(command[0], list(command), os.environ | {_INSIDE: "1"})  # noqa: S606 - our own words
    except OSError as error:
        sys.stderr.write(f"mnemesh chaos: no room: {error}\n")
    finally:
        os._exit(code)


def _wait(child: int, mask: set[signal.Signals | int]) -> int:
    def forward(number: int, _frame: FrameType | None) -> None:
        os.kill(child, number)

    handlers: list[tuple[signal.Signals, Callable[..., object] | int | None]] = [
        (number, signal.signal(number, forward)) for number in _FORWARDED
    ]
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        _, status = os.waitpid(child, 0)
    finally:
        for number, handler in handlers:
            signal.signal(number, handler)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        sys.stderr.write(f"mnemesh chaos: the room ended by {signal.Signals(-code).name}\n")
    return code if code >= 0 else 128 - code


def means() -> Means:
    """Try what can be done from where this process is."""
    room = is_inside()
    run = _works
    return Means(
        namespaces=room and run("ip", "link", "add", "trial", "type", "bridge") and _gone("trial"),
        nft=room and run("nft", "add", "table", "inet", "trial") and _no_table("trial"),
        tbf=room and shutil.which("tc") is not None,
        mounts=room and shutil.which("mount") is not None,
        strace=room and _traces(),
    )


def _works(*command: str) -> bool:
    path = shutil.which(command[0])
    if path is None:
        return False
    done = subprocess.run([path, *command[1:]], capture_output=True, check=False)
    return done.returncode == 0


def _gone(name: str) -> bool:
    return _works("ip", "link", "del", name)


def _no_table(name: str) -> bool:
    return _works("nft", "delete", "table", "inet", name)


def _traces() -> bool:
    return _works("strace", "-f", "-e", "inject=fdatasync:error=EIO", "-o", "/dev/null", "true")
