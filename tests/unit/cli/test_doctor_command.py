"""`mnemesh doctor` with and without a node, and administrators named at `init`."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from node.errors import Exit
from tests.unit.cli.standin import Mnemesh, StandIn


def said(*findings: tuple[str, str]) -> dict[str, Any]:
    """An answer of the doctor with one section."""
    order = ["ok", "info", "warning", "critical"]
    worst = max((severity for severity, _ in findings), key=order.index, default="ok")
    told = [{"severity": s, "text": t, "fix": f"mend {t}", "link": "docs/x"} for s, t in findings]
    return {
        "severity": worst,
        "sections": [{"name": "store", "severity": worst, "findings": told}],
    }


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ((("ok", "fine"),), Exit.OK),
        ((("ok", "fine"), ("info", "notable")), Exit.OK),
        ((("warning", "odd"), ("info", "notable")), Exit.DOCTOR_WARNS),
        ((("warning", "odd"), ("critical", "bad")), Exit.DOCTOR_CRITICAL),
    ],
)
def test_the_exit_code_says_how_bad_it_is(
    mnemesh: Mnemesh, standin: StandIn, findings: Any, code: Exit
) -> None:
    standin.on("GET", "/api/v1/doctor", 200, said(*findings))
    ran = mnemesh("doctor", "--data-dir", standin.paths.data_dir, "--json")
    assert ran.code == code
    assert ran.json == said(*findings)


def test_people_see_what_there_is_to_do_and_the_worst_first(
    mnemesh: Mnemesh, standin: StandIn
) -> None:
    answer = said(("ok", "fine"), ("info", "notable"), ("critical", "bad"), ("warning", "odd"))
    standin.on("GET", "/api/v1/doctor", 200, answer)
    ran = mnemesh("doctor", "--data-dir", standin.paths.data_dir)
    assert "fine" not in ran.out
    assert "notable" not in ran.out
    assert ran.out.index("mend bad") < ran.out.index("mend odd")
    ran = mnemesh("doctor", "--all", "--data-dir", standin.paths.data_dir)
    places = [ran.out.index(word) for word in ("bad", "odd", "notable", "fine")]
    assert places == sorted(places)


def test_what_is_only_worth_knowing_leaves_stdout_empty_and_is_counted(
    mnemesh: Mnemesh, standin: StandIn
) -> None:
    standin.on("GET", "/api/v1/doctor", 200, said(("ok", "fine"), ("info", "notable")))
    ran = mnemesh("doctor", "--data-dir", standin.paths.data_dir)
    assert (ran.code, ran.out) == (0, "")
    assert "1 thing is worth knowing" in ran.err


def test_one_section_alone_with_its_own_exit_code(mnemesh: Mnemesh, standin: StandIn) -> None:
    answer = said(("critical", "bad"))
    calm = {"name": "time", "severity": "ok", "findings": []}
    standin.on("GET", "/api/v1/doctor", 200, answer | {"sections": [*answer["sections"], calm]})
    target = ("--data-dir", standin.paths.data_dir, "--json")
    ran = mnemesh("doctor", "--section", "store", *target)
    assert (ran.code, ran.json) == (Exit.DOCTOR_CRITICAL, answer)
    ran = mnemesh("doctor", "--section", "time", *target)
    assert (ran.code, ran.json) == (Exit.OK, {"severity": "ok", "sections": [calm]})
    ran = mnemesh("doctor", "--section", "stor", *target)
    assert ran.code == Exit.USAGE
    assert "store" in ran.err


def test_a_key_that_others_can_read_does_not_keep_the_doctor_out(
    mnemesh: Mnemesh, standin: StandIn
) -> None:
    standin.on("GET", "/api/v1/doctor", 200, said(("critical", "others can read it")))
    key = standin.paths.api_key
    key.parent.mkdir(parents=True, exist_ok=True)
    if key.exists():
        key.chmod(0o644)
    ran = mnemesh("doctor", "--data-dir", standin.paths.data_dir, "--json")
    assert ran.code == Exit.DOCTOR_CRITICAL


def test_a_healthy_node_leaves_stdout_empty(mnemesh: Mnemesh, standin: StandIn) -> None:
    standin.on("GET", "/api/v1/doctor", 200, said(("ok", "fine")))
    ran = mnemesh("doctor", "--data-dir", standin.paths.data_dir)
    assert (ran.code, ran.out) == (0, "")
    assert "nothing to do" in ran.err


def test_without_a_node_the_files_are_looked_at(mnemesh: Mnemesh, tmp_path: Path) -> None:
    home = tmp_path / "n"
    mnemesh("init", "--name", "a", "--data-dir", home)
    ran = mnemesh("doctor", "--data-dir", home, "--json")
    assert ran.code == Exit.UNREACHABLE
    sections = {section["name"]: section["severity"] for section in ran.json["sections"]}
    del sections["time"]  # that of this very machine
    assert sections == {
        "node": "critical",
        "config": "ok",
        "identity": "ok",
        "allowlist": "ok",
    }
    (finding,) = ran.json["sections"][0]["findings"]
    assert finding["fix"] == f"Start it: `mnemesh serve --detach --data-dir {home}`"
    (home / "keys").chmod(0o755)
    (home / "keys" / "allowlist").write_text("no fingerprint\n")
    ran = mnemesh("doctor", "--data-dir", home, "--json")
    sections = {section["name"]: section["severity"] for section in ran.json["sections"]}
    assert (sections["identity"], sections["allowlist"]) == ("warning", "critical")


@pytest.mark.parametrize(
    ("planted", "word"),
    [
        ("this is no toml", "config.toml"),
        ("[quorum]\nwrits = 3\n", "writs"),
    ],
)
def test_without_a_node_a_broken_configuration_is_told(
    mnemesh: Mnemesh, tmp_path: Path, planted: str, word: str
) -> None:
    home = tmp_path / "n"
    home.mkdir()
    (home / "config.toml").write_text(f"schema_version = 1\n{planted}\n")
    ran = mnemesh("doctor", "--data-dir", home, "--json")
    assert ran.code == Exit.UNREACHABLE
    (config,) = [s for s in ran.json["sections"] if s["name"] == "config"]
    assert config["severity"] == "critical"
    assert word in config["findings"][0]["text"]


def test_init_names_administrators_in_the_configuration(mnemesh: Mnemesh, tmp_path: Path) -> None:
    home = tmp_path / "n"
    flags = ("--admin", "human:anna", "--admin", "ai:ops", "--admin", "human:anna")
    ran = mnemesh("init", "--name", "a", "--data-dir", home, *flags, "--json")
    assert (ran.code, ran.json["admins"]) == (0, ["human:anna", "ai:ops"])
    config = tomllib.loads((home / "config.toml").read_text())
    assert config["admin"]["agent_ids"] == ["human:anna", "ai:ops"]
    # Making the identity anew without naming anybody keeps who was named.
    again = mnemesh("init", "--name", "a", "--data-dir", home, "--force", "--yes")
    assert again.code == 0
    config = tomllib.loads((home / "config.toml").read_text())
    assert config["admin"]["agent_ids"] == ["human:anna", "ai:ops"]


@pytest.mark.parametrize("bad", ["", "a b", "x/../y", "ü", "a" * 129])
def test_what_is_no_agent_id_is_refused_and_nothing_is_made(
    mnemesh: Mnemesh, tmp_path: Path, bad: str
) -> None:
    home = tmp_path / "n"
    ran = mnemesh("init", "--name", "a", "--data-dir", home, "--admin", bad)
    assert ran.code == Exit.USAGE
    assert "--admin" in ran.err
    assert not home.exists()


def test_a_configured_administrator_that_is_no_agent_id_is_refused(
    mnemesh: Mnemesh, tmp_path: Path
) -> None:
    home = tmp_path / "n"
    home.mkdir()
    (home / "config.toml").write_text('schema_version = 1\n[admin]\nagent_ids = ["a b"]\n')
    ran = mnemesh("init", "--name", "a", "--data-dir", home)
    assert ran.code == Exit.USAGE
    assert "agent_ids" in ran.err
