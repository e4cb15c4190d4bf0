from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.auth.identities import Identities, file_stem
from node.auth.public_keys import parse_public_key
from node.errors import Refused, UsageError
from transport.identity import NodeKey

KEY, OTHER = NodeKey(bytes(range(32))).public, NodeKey(bytes(32)).public
AWKWARD = (
    "ai:alice",
    "ai:Alice",
    "a/b/c",
    "/etc/passwd",
    "a..b",
    ".",
    "x@y",
    "-",
    "A" * 128,
    ":" * 128,
)


def entropy(size: int) -> bytes:
    return bytes(range(size))


@pytest.mark.parametrize("ident", AWKWARD)
def test_files_stay_in_the_folder_with_their_modes(tmp_path: Path, ident: str) -> None:
    folder = tmp_path / "keys" / "identities"
    made = Identities(folder).generate(ident, entropy, force=False)
    files = sorted(folder.rglob("*"))
    assert [path.parent for path in files] == [folder, folder]
    modes = {path.suffix: path.stat().st_mode & 0o777 for path in files}
    assert modes == {".key": 0o600, ".pub": 0o644}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys"]
    assert Identities(folder).listed() == [made]
    assert Identities(folder).key_of(ident).public == made.public_key == KEY
    assert parse_public_key(Identities(folder).public_path(ident).read_text()) == KEY


@given(st.sets(st.from_regex(r"[A-Za-z0-9_\-:@./]{1,128}", fullmatch=True), min_size=2, max_size=8))
def test_no_two_ids_share_a_file_and_none_has_a_path(idents: set[str]) -> None:
    stems = {file_stem(ident) for ident in idents}
    assert len({stem.lower() for stem in stems}) == len(idents)
    assert all(stem.isalnum() and len(stem) < 250 for stem in stems)


@pytest.mark.parametrize(
    "ident", ["", "..", "../x", "a/../b", "a b", "é", "x" * 129, "a\0b", "a\n"]
)
def test_what_is_no_id_is_refused_everywhere(tmp_path: Path, ident: str) -> None:
    held = Identities(tmp_path)
    with pytest.raises(UsageError, match="--agent-id"):
        held.generate(ident, entropy, force=True)
    with pytest.raises(UsageError, match="--agent-id"):
        held.learn(ident, KEY, force=True)
    with pytest.raises(UsageError, match="--agent-id"):
        held.remove(ident)
    assert not list(tmp_path.iterdir())


def test_a_key_is_replaced_only_when_that_is_said(tmp_path: Path) -> None:
    held = Identities(tmp_path)
    held.generate("ai:alice", entropy, force=False)
    with pytest.raises(Refused, match="already"):
        held.generate("ai:alice", bytes, force=False)
    assert held.key_of("ai:alice").public == KEY
    made = held.generate("ai:alice", bytes, force=True)
    assert made.public_key == OTHER == held.key_of("ai:alice").public


def test_a_foreign_key_never_takes_the_place_of_an_own_one(tmp_path: Path) -> None:
    held = Identities(tmp_path)
    held.generate("ai:alice", entropy, force=False)
    with pytest.raises(Refused, match="private key"):
        held.learn("ai:alice", OTHER, force=True)
    assert held.learn("ai:alice", KEY, force=False).private
    assert not held.learn("peer-b", KEY, force=False).private
    with pytest.raises(Refused, match="already"):
        held.learn("peer-b", OTHER, force=False)
    assert held.learn("peer-b", OTHER, force=True).public_key == OTHER
    with pytest.raises(UsageError, match="no private key"):
        held.key_of("peer-b")


def test_removal_leaves_nothing(tmp_path: Path) -> None:
    held = Identities(tmp_path)
    held.generate("ai:alice", entropy, force=False)
    assert held.remove("ai:alice")
    assert not held.remove("ai:alice")
    assert held.listed() == []
    assert not list(tmp_path.iterdir())


def test_a_lost_public_half_is_no_lost_key_and_strange_files_are_left_alone(tmp_path: Path) -> None:
    held = Identities(tmp_path)
    held.generate("ai:alice", entropy, force=False)
    held.public_path("ai:alice").unlink()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "mfutuylmnfrx.pub").write_text("no key")
    assert [one.public_key for one in held.listed()] == [KEY]
