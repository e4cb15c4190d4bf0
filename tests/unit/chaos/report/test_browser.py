"""The page in a real browser: what it holds is shown, and nothing is fetched or fails."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from chaos.report.command import write
from chaos.report.reading import read
from tests.unit.chaos.report.made import NAMES, campaign, lines

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
SECONDS_MAX = 90

pytestmark = [
    pytest.mark.slow,
    pytest.mark.integration,
    pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine"),
]


class Shown(NamedTuple):
    """What the browser made of a page."""

    dom: str
    console: list[str]


def show(page: Path, folder: Path) -> Shown:
    done = subprocess.run(
        [
            str(BROWSER),
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update"),
            # The browser's own questions to the world end here as well.
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder / 'profile'}",
            "--enable-logging=stderr",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=True,
    )
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Shown(done.stdout, console)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaign")
    found = read(lines(campaign(5, 60, writes=20)))
    write(found, folder / "report.json", folder / "report.html", NAMES)
    return folder / "report.html"


def test_the_totals_are_shown_and_nothing_is_fetched(page: Path, tmp_path: Path) -> None:
    dom, console = show(page, tmp_path)
    assert console == []
    words = re.sub(r"<[^>]+>", " ", dom)
    for said in ("1 cycle of 2,939 failed", "2,938 passed", "1 void", "1 lost", "F50 fault"):
        assert re.search(r"\s+".join(map(re.escape, said.split())), words), said
    assert dom.count("<svg") == page.read_text(encoding="utf-8").count("<svg")


@pytest.mark.parametrize(
    "smuggled",
    [
        '<img src="https://nowhere.invalid/x.png">',
        '<script src="https://nowhere.invalid/x.js"></script>',
        "<script>document.title = 'run'</script>",
    ],
)
def test_what_were_smuggled_in_would_be_refused_and_seen(
    page: Path, tmp_path: Path, smuggled: str
) -> None:
    changed = tmp_path / "changed.html"
    text = page.read_text(encoding="utf-8").replace("<main>", f"<main>{smuggled}")
    changed.write_text(text, encoding="utf-8")
    dom, console = show(changed, tmp_path)
    assert any("Content Security Policy" in line for line in console), console
    assert "<title>run" not in dom
