"""A disk that is full, and a disk that breaks, under a real process."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import check_equal, content_hash, until, until_linked
from tests.integration.rig_mesh import founded

pytestmark = [pytest.mark.integration, pytest.mark.thorough]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of six megabytes of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    options = ["-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    if subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a tmpfs here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)  # noqa: S607 - the system's own


def test_a_full_disk_is_507_and_nothing_is_lost_when_there_is_room_again(
    tmp_path: Path, small_disk: Path
) -> None:
    (node,) = founded(tmp_path, 1, flags=("--quorum-timeout-ms", "300"))
    shutil.rmtree(node.data_dir)
    node.data_dir = small_disk / "data"
    try:
        node.start()
        (small_disk / "ballast").write_bytes(bytes(2 << 20))
        promised: dict[str, str] = {}
        full: Any = None
        for number in range(300):
            body = {"id": f"m-{number:04}", "title": "t", "content": f"{number:05}" * 4000}
            reply = node.ask("POST", "/memories", body)
            if reply.status != 201:
                full = reply
                break
            promised[body["id"]] = content_hash(body)
        assert full is not None, "the disk never became full"
        assert (full.status, full.body["error"]) == (507, "disk_full")
        assert len(promised) > 10
        # It goes on reading, and says what is wrong.
        assert node.get("m-0000")["title"] == "t"
        assert node.events("store_full")
        (small_disk / "ballast").unlink()
        until(lambda: node.events("store_resumed"), "it resumes by itself", seen=node.tail)
        assert node.store("room again")["durability"]["local"] is True
        node.kill()
        node.start()
        held = node.held()
        assert {ident: held.get(ident) for ident in promised} == promised
    finally:
        node.clean_up()


SHIM = """
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
static int broken(void) { return access(getenv("BREAK_THE_DISK"), F_OK) == 0; }
int fdatasync(int fd) { (void)fd; if (broken()) { errno = EIO; return -1; } return 0; }
int fsync(int fd) { (void)fd; if (broken()) { errno = EIO; return -1; } return 0; }
"""


def test_an_eio_ends_the_node_with_its_own_code(found: Found, tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("breaking a disk takes a C compiler")
    source, shim, trigger = tmp_path / "shim.c", tmp_path / "shim.so", tmp_path / "broken"
    source.write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, source], check=True)
    one, two, three = nodes = found(3, start=False)
    three.environment = {"LD_PRELOAD": str(shim), "BREAK_THE_DISK": str(trigger)}
    for node in nodes:
        node.spawn()
    for node in nodes:
        node.wait_alive()
    until_linked(nodes)
    kept = three.store("before the disk broke")["id"]
    trigger.touch()
    reply = None
    with contextlib.suppress(OSError):
        reply = three.ask("POST", "/memories", {"title": "never confirmed", "content": "text"})
    assert reply is None or reply.status in {500, 503}, reply
    assert three.process is not None
    assert three.process.wait(20) == 10
    three.process = None
    assert three.events("store_failed")
    # The others go on, and have what was confirmed.
    assert one.store("without it")["quorum_acks"] == 2
    assert two.get(kept)["title"] == "before the disk broke"
    trigger.unlink()
    three.start()
    until_linked(nodes)
    check_equal(nodes)
