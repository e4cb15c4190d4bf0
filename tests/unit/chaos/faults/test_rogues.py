"""Members gone rogue: what is played, and what an impostor needs of a node's folder."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from nacl.signing import SigningKey

from chaos.campaign.cycle import Cycle
from chaos.faults import rogues, strangers
from chaos.faults.registry import injectors
from chaos.hostile import wire
from chaos.hostile.impostor import key_of
from chaos.hostile.member import Member
from chaos.hostile.minting import Line
from chaos.hostile.target import Papers, Target, Victim
from transport import allowlist
from transport.identity import NodeKey

CODES = {"F11", "F13", "F14", "F33", "F37", "F41", "F42", "F43", "F44", "F45"}
OWN, OTHER = SigningKey(bytes(range(32))), SigningKey(bytes(range(1, 33)))


def test_the_classes_of_this_family_are_played() -> None:
    known = injectors()
    assert known.keys() >= CODES
    assert all(known[code].needs == () for code in CODES)


def victim(log: Path, start: int = 0) -> Victim:
    return Victim(
        name="n1",
        host="127.0.0.1",
        port=1,
        url="https://127.0.0.1:1",
        agent=("127.0.0.1", 2),
        fingerprint="00" * 32,
        log=log,
        heard_from=start,
    )


def test_a_log_counts_from_where_the_cycle_began(tmp_path: Path) -> None:
    log = tmp_path / "n1.log"
    assert victim(log).log_text() == ""
    line = json.dumps({"event": "peer_refused"}) + "\n"
    log.write_text(line)
    one = victim(log, len(line))
    assert one.count("peer_refused") == 0
    with log.open("a") as file:
        file.write(line + line[:9])  # the last line is on its way
    assert one.count("peer_refused") == 1
    assert replace(one, heard_from=0).count("peer_refused") == 2


def test_the_key_of_a_node_is_read_from_its_folder(tmp_path: Path) -> None:
    made = NodeKey.generate(os.urandom)
    (tmp_path / "keys").mkdir(mode=0o700)
    made.save(tmp_path / "keys" / "node.key")
    assert bytes(key_of(tmp_path).verify_key) == made.public


# --- what an impostor believes ------------------------------------------------------------------


def member(folder: Path, *, believes: bool) -> Member:
    papers = cast("Papers", SimpleNamespace(folder=folder))
    target = Target(victims=[], papers=papers, namespace="chaos/c000001/rogue")
    return Member(target, OWN, "mesh", ("https://a:1",), believes=believes)


def far(count: int = 3) -> Line:
    line = Line.fresh("mesh", OTHER, bytes(32))
    for number in range(count):
        line.seal(line.create(f"m{number}", ()))
    return line


@pytest.mark.parametrize("believes", [True, False])
def test_it_claims_what_it_is_shown_and_takes_what_follows(
    tmp_path: Path, *, believes: bool
) -> None:
    one, line = member(tmp_path, believes=believes), far()
    one._believe({line.actor: 2})
    assert one.clock.get(line.actor, 0) == (2 if believes else 0)
    one._keep(line.held[2].data)
    assert one.clock.get(line.actor, 0) == (3 if believes else 0)
    one._believe({line.actor: 1})
    assert one.clock.get(line.actor, 0) == (3 if believes else 0)


def test_what_it_makes_is_in_the_namespace_of_the_cycle(tmp_path: Path) -> None:
    one = member(tmp_path, believes=True)
    assert one.new_line().create("x", ()).namespace == "chaos/c000001/rogue"
    assert wire.node_of(one.line.actor) == one.node_id


# --- lists --------------------------------------------------------------------------------------


async def _within(lists: list[Path], more: dict[str, str]) -> list[dict[str, Any]]:
    nodes = [SimpleNamespace(allowlist=path) for path in lists]
    cycle = cast("Cycle", SimpleNamespace(mesh=SimpleNamespace(nodes=nodes)))
    async with strangers._on_the_lists(cycle, more):
        return [dict(allowlist.load(path).entries) for path in lists]


def test_lists_are_as_they_were_afterwards(tmp_path: Path) -> None:
    lists = [tmp_path / "n1.allowlist", tmp_path / "n2.allowlist"]
    for path in lists:
        path.write_text(f"# members\n\n{'ab' * 32} n1\n")
    before = [path.read_text() for path in lists]
    run = _within(lists, {"cd" * 32: "outsider"})
    with pytest.raises(StopIteration) as done:
        run.send(None)
    assert all("cd" * 32 in entries and "ab" * 32 in entries for entries in done.value.value)
    assert [path.read_text() for path in lists] == before


def test_an_expectation_with_much_to_say_is_cut(tmp_path: Path) -> None:
    del tmp_path
    assert len(str(rogues._short(["x" * 9000]))) < 500
    assert rogues._short({"a": 1}) == {"a": 1}
