import stat
from pathlib import Path

import pytest

from transport import allowlist
from transport.errors import AllowlistError

A, B, C = "0a" * 32, "bb" * 32, "c1" * 32
COLONS = ":".join(["BB"] * 32)


def test_every_spelling_is_one_fingerprint() -> None:
    text = f"""\ufeff# mesh of the attic
{A}
   sha256:{COLONS}   node-b  the second
SHA256:{C.upper()}\t node-c # upstairs

#{"dd" * 32}
"""
    assert dict(allowlist.parse(text).entries) == {A: "", B: "node-b  the second", C: "node-c"}


def test_line_endings_of_every_system() -> None:
    assert allowlist.parse(f"{A}\r\n{B} b\r\n").fingerprints == {A, B}


def test_membership_is_by_the_one_form() -> None:
    listed = allowlist.parse(COLONS)
    assert B in listed
    assert COLONS not in listed
    assert len(listed) == 1
    assert A not in allowlist.Allowlist()


@pytest.mark.parametrize(
    "line",
    [
        "node-b",
        A[:-1],
        A + "0",
        A[:-1] + "g",
        f"sha1:{A}",
        f"sha256: {A}",
        f"node-b {A}",
        COLONS[:-3],
        f"{A}#comment",
        f"{A},{B}",
    ],
)
def test_a_bad_line_refuses_the_file_and_is_numbered(line: str) -> None:
    with pytest.raises(AllowlistError, match=r"line 3: .*expected 64 hex digits") as caught:
        allowlist.parse(f"# one\n{A}\n{line}\n{B}\n")
    assert caught.value.line == 3


def test_a_file_that_an_operator_named_must_exist(tmp_path: Path) -> None:
    path = tmp_path / "allowlist"
    with pytest.raises(AllowlistError, match="does not exist"):
        allowlist.load(path)
    assert len(allowlist.load(path, missing_is_empty=True)) == 0


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "allowlist"
    path.write_text("oops\n")
    with pytest.raises(AllowlistError, match=f"{path}.*line 1"):
        allowlist.load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(AllowlistError, match="UTF-8"):
        allowlist.load(path)
    with pytest.raises(AllowlistError, match="cannot read"):
        allowlist.load(tmp_path)


def test_adding_and_removing_keeps_what_people_wrote(tmp_path: Path) -> None:
    path = tmp_path / "allowlist"
    path.write_text(f"# ours\n{A} node-a # do not touch\n\n# theirs\n{COLONS}\n")
    path.chmod(0o640)
    assert allowlist.add(path, f"sha256:{C.upper()}", "node-c")
    assert path.read_text() == (
        f"# ours\n{A} node-a # do not touch\n\n# theirs\n{COLONS}\n{C} node-c\n"
    )
    assert allowlist.remove(path, B)
    assert path.read_text() == f"# ours\n{A} node-a # do not touch\n\n# theirs\n{C} node-c\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_repeating_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "allowlist"
    assert allowlist.add(path, A, "node-a")
    written = path.stat().st_ino
    assert not allowlist.add(path, A, "node-a")
    assert not allowlist.add(path, A)
    assert not allowlist.remove(path, B)
    assert path.stat().st_ino == written
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert allowlist.add(path, A, "renamed")
    assert dict(allowlist.load(path).entries) == {A: "renamed"}
    assert allowlist.remove(path, A)
    assert not allowlist.remove(path, A)


def test_removal_takes_every_spelling(tmp_path: Path) -> None:
    path = tmp_path / "allowlist"
    path.write_text(f"{B} one\nsha256:{COLONS} two\n{A}\n")
    assert allowlist.remove(path, B)
    assert path.read_text() == f"{A}\n"


@pytest.mark.parametrize("name", ["two\nlines", f"x\n{'ee' * 32}", "a # b", "#"])
def test_a_name_cannot_smuggle_a_line_or_a_comment(tmp_path: Path, name: str) -> None:
    path = tmp_path / "allowlist"
    with pytest.raises(AllowlistError, match="would not survive"):
        allowlist.add(path, A, name)
    assert not path.exists()


def test_a_bad_file_is_not_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "allowlist"
    path.write_text("oops\n")
    with pytest.raises(AllowlistError):
        allowlist.add(path, A)
    with pytest.raises(AllowlistError):
        allowlist.remove(path, A)
    with pytest.raises(AllowlistError):
        allowlist.add(tmp_path / "no" / "folder", A)
    assert path.read_text() == "oops\n"


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text(f"{A}\n")
    link.symlink_to(real)
    allowlist.add(link, B)
    assert link.is_symlink()
    assert allowlist.load(real).fingerprints == {A, B}
