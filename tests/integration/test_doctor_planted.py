"""What an operator can get wrong on one node: planted, found as exactly that, mended as printed.

Law: each row is planted on a real node, found with its severity and nothing beside it, mended by
doing what the finding says, and gone after that.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.rig import until
from tests.integration.rig_commands import mnemesh, newcomer
from tests.integration.rig_doctor import Ward, note_backup
from tests.integration.rig_doctor_cases import CASES, Case, squeezed, unsqueezed

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("planted")
    node = newcomer(folder, "alone")
    (folder / "faults").mkdir()
    made = Ward(nodes={}, looked=node, folder=folder)
    try:
        node.start()
        until(node.ready, "it serves", seen=node.tail)
        note_backup(node)
        yield made
    finally:
        node.clean_up()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_found_as_what_it_is_and_mended_by_what_is_printed(ward: Ward, case: Case) -> None:
    why = case.needs()
    if why:
        pytest.skip(why)
    if case.name != "no-administrator":
        ward.settle()
    else:
        ward.usual = set()
        ward.usual = {found for found, _ in ward.new() if found[0] != "governance"}
    case.plant(ward)
    fixes = ward.expect(case.wanted)
    case.by_hand(ward)
    filled = {word: text.replace("HERE", str(ward.folder)) for word, text in case.filled.items()}
    for fix in fixes:
        ward.follow(fix, **filled)
    ward.expect_well()
    if case.plant is squeezed:
        unsqueezed(ward)


def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    """A small file system of its own: room enough, then too little, then enough again."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = ["/bin/mount", "-t", "tmpfs", "-o", "size=640m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system")
    node = newcomer(place, "small")
    ward = Ward(nodes={}, looked=node, folder=tmp_path, ignored="no such words")
    try:
        node.start()
        until(node.ready, "it serves")
        note_backup(node)
        ward.settle()
        ballast = place / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 500 << 20)
        (fix,) = ward.expect([("store", "critical", "are free on the disk of the store")])
        assert fix.startswith("Make room")
        ballast.unlink()
        ward.expect_well()
    finally:
        node.clean_up()
        subprocess.run(["/bin/umount", str(place)], check=True)


def test_a_plain_listener_without_a_key_gets_one(tmp_path: Path) -> None:
    from tests.integration.rig_routes import lone  # noqa: PLC0415 - it needs the table of routes

    node = lone(tmp_path)
    ward = Ward(nodes={}, looked=node, folder=tmp_path)
    try:
        node.start()
        until(node.ready, "it serves")
        note_backup(node)
        ward.usual = {found for found, _ in ward.new() if found[0] != "exposure"}
        (fix,) = ward.expect([("exposure", "info", "every user of this machine")])
        ward.follow(fix)
        node.api_key = (node.data_dir / "keys" / "api_key").read_text().strip()
        ward.expect_well()
        assert mnemesh("doctor", node=node).code == 0, "the operator is not locked out"
        node.api_key = "wrong"
        assert node.ask("GET", "/memories").status == 401
    finally:
        node.clean_up()
