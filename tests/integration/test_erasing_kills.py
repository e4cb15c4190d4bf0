"""A node that dies in a rewrite comes back with all that it had; and what writers feel of one."""

import threading
from pathlib import Path
from typing import Final

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import check_equal, content_hash, until, until_linked
from tests.integration.rig_traces import erasure, traces, until_clear

pytestmark = [pytest.mark.integration, pytest.mark.slow]
WORDS: Final = "zanzibar-quagga"
LAUNCHER: Final = """
import os, sys
from node.store.rewriting import Rewrite
begin = Rewrite.begin
def dying(self):
    if os.path.exists(os.environ["DIES_AT"]):
        with open(os.environ["DIES_AT"]) as file:
            wanted = file.read()
        self._step = lambda step: os._exit(9) if step == wanted else None
    begin(self)
Rewrite.begin = dying
from node.cli import main
sys.exit(main())
"""


def test_a_member_killed_at_any_step_of_a_rewrite_comes_back_whole(
    found: Found, tmp_path: Path
) -> None:
    nodes = found(3, start=False)
    order = tmp_path / "dies-at"
    nodes[0].launch = ("-P", "-c", LAUNCHER)
    nodes[0].environment = {"DIES_AT": str(order)}
    for node in nodes:
        node.spawn()
    for node in nodes:
        node.wait_alive()
    until_linked(nodes)
    promised = {}
    for step in ("copy", "copied", "built", "swap", "swapped"):
        kept = nodes[1].store(step, f"kept {step} " * 100)
        promised[kept["id"]] = content_hash({"title": step, "content": f"kept {step} " * 100})
        gone = nodes[0].store("gone", f"{WORDS} " * 300)
        check_equal(nodes)
        nodes[0].tell("POST", "/forget", {"ids": [gone["id"]]})
        until_clear(nodes)
        order.write_text(step)
        with pytest.raises((OSError, EOFError, ConnectionError)):
            nodes[0].ask("POST", "/compact", {})
        assert nodes[0].process is not None
        assert nodes[0].process.wait(20) == 9
        nodes[0].process = None
        order.unlink()
        nodes[0].start()
        until_linked(nodes)
        check_equal(nodes, promised)
        assert not list(nodes[0].data_dir.glob("next-*"))
    nodes[0].tell("POST", "/compact", {"mesh": True})
    until(lambda: erasure(nodes[0])["gone"], "gone", seen=lambda: erasure(nodes[0]))
    assert [traces(node, WORDS) for node in nodes] == [[], [], []]
    check_equal(nodes, promised)


def test_writers_go_on_while_a_store_is_rewritten_and_lose_nothing(found: Found) -> None:
    nodes = found(3)
    for start in range(0, 3000, 500):
        items = [{"title": f"t{n}", "content": f"{n} " * 500} for n in range(start, start + 500)]
        nodes[0].tell("POST", "/memories/bulk", items)
    promised: dict[str, str] = {}
    failures: list[object] = []
    stop = threading.Event()

    def write(name: str) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            memory = {"title": f"{name}-{number}", "content": "while it is rewritten"}
            reply = nodes[0].ask("POST", "/memories", memory)
            if reply.status != 201:
                failures.append(reply.body)
                return
            promised[reply.body["id"]] = content_hash(memory)

    writers = [threading.Thread(target=write, args=(f"w{n}",)) for n in range(4)]
    for writer in writers:
        writer.start()
    for _ in range(3):
        done = nodes[0].tell("POST", "/compact", {})
        assert done["stall_ms"] < 2000
    before = len(promised)
    until(lambda: len(promised) > before + 20, "writers go on")
    stop.set()
    for writer in writers:
        writer.join(20)
    assert failures == []
    check_equal(nodes, promised)


def test_one_rewrite_at_a_time_and_each_counts(found: Found) -> None:
    (node,) = found(1)
    node.store("one", "x" * 10_000)
    threads = [threading.Thread(target=node.tell, args=("POST", "/compact", {})) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert node.metric("mnemesh_store_rewrites_total", outcome="done") == 3


def test_what_is_no_flag_is_refused(found: Found) -> None:
    (node,) = found(1)
    reply = node.ask("POST", "/compact", {"mesh": "yes"})
    assert (reply.status, reply.body["error"], reply.body["field"]) == (
        400,
        "invalid_field",
        "mesh",
    )
    assert node.metric("mnemesh_store_rewrites_total") == 0
