"""Links resolve, names that the documents mention exist, and nothing foreign is in them."""

import re
import xml.etree.ElementTree as ET
from typing import Final

import pytest

from node.events.names import NAMES
from tests.architecture.docs_blocks import GENERATED, ROOT, documents, prose_of, text_of

_LINK: Final = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE: Final = re.compile(r"`([^`\n]+)`")
_TEST: Final = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
_PARTS: Final = ("crdt/", "transport/", "node/", "tests/", "docs/", "deploy/", "chaos/")
_HAND_WRITTEN: Final = [d for d in documents() if not d.startswith(GENERATED)]
_OUTSIDE: Final = frozenset({"https://automerge.org", "https://msgpack.org", "https://semver.org"})
_FOREIGN: Final = re.compile(r"/root/|/home/[a-z]", re.IGNORECASE)
_CONTROLS: Final = re.compile(r"simulator[^|]*?\(([^)]*)\)")


def _anchor(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.strip().replace(" ", "-")


def _anchors(document: str) -> set[str]:
    return {_anchor(h) for h in re.findall(r"^#+ (.+)$", text_of(document), re.MULTILINE)}


@pytest.mark.parametrize("document", documents())
def test_links_resolve(document: str) -> None:
    for target in _LINK.findall(prose_of(document)):
        if target.startswith("https://"):
            assert target in _OUTSIDE, f"{document} links outside: {target}"
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / document).parent / name if name else ROOT / document
        assert path.exists(), f"{document} links to {target}"
        if anchor:
            there = str(path.resolve().relative_to(ROOT))
            assert anchor in _anchors(there), f"{document} links to {target}"


@pytest.mark.parametrize("document", _HAND_WRITTEN)
def test_no_name_of_a_file_is_stale(document: str) -> None:
    for name in _CODE.findall(prose_of(document)):
        if name.startswith(_PARTS) and " " not in name:
            assert (ROOT / name.partition("::")[0]).exists(), f"{document} names {name}"


@pytest.mark.parametrize("document", _HAND_WRITTEN)
def test_no_name_of_a_test_is_stale(document: str) -> None:
    for path, name in _TEST.findall(text_of(document)):
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(?:async )?def {name}\(", source, re.MULTILINE), f"{path}::{name}"


def test_every_threat_names_what_shows_its_control() -> None:
    text = text_of("docs/threat-model.md").partition("\n## Threats\n")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ")]
    threats = [row for row in rows if row[1].strip() != "threat"]
    assert len(threats) > len(rows) // 2
    for _, threat, _, shown, _ in threats:
        assert _TEST.search(shown), threat


@pytest.mark.parametrize("document", documents())
def test_every_document_is_reached_from_the_readme(document: str) -> None:
    seen, queue = set(), ["README.md"]
    while queue:
        at = queue.pop()
        if at in seen or not at.endswith(".md"):
            continue
        seen.add(at)
        for target in _LINK.findall(text_of(at)):
            path = (ROOT / at).parent / target.partition("#")[0]
            if not target.startswith("https://") and path.exists():
                queue.append(str(path.resolve().relative_to(ROOT)))
    assert document in seen | {"CHANGELOG.md"}


@pytest.mark.parametrize("document", documents())
def test_nothing_of_the_writers_machine_is_in_a_document(document: str) -> None:
    found = _FOREIGN.search(text_of(document))
    assert found is None, f"{document}: {found}"


def test_every_invariant_names_what_holds_it() -> None:
    rows = re.findall(
        r"^\| \*\*I(\d+)\*\* \|([^|]+)\|([^|]+)\|$", text_of("docs/design.md"), re.MULTILINE
    )
    assert [int(number) for number, _, _ in rows] == list(range(1, 20))
    for number, _, held in rows:
        assert "imulator" in held or "tests/" in held, f"I{number}"


def test_planted_bugs_that_documents_name_exist() -> None:
    from tests.simulation.controls import NAMES  # noqa: PLC0415 - it patches the core's modules

    for document in ("docs/design.md", "docs/threat-model.md"):
        named = set()
        for inside in _CONTROLS.findall(text_of(document)):
            named |= {word for word in _CODE.findall(inside) if "/" not in word}
        assert named
        assert named <= set(NAMES)


def test_pictures_stand_alone() -> None:
    for path in (ROOT / "docs").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        root = ET.fromstring(text)  # noqa: S314 - our own file
        assert root.find("{http://www.w3.org/2000/svg}title") is not None
        outside = re.findall(r"""(?:href|src|url)\s*[=(]\s*["']?(?!#)([^"')\s]+)""", text)
        assert not outside, path


def test_the_interface_names_the_events_there_are() -> None:
    said = text_of("docs/api.md").partition("\n## Events\n")[2].partition("\n## ")[0]
    rows = "".join(line for line in said.splitlines() if line.startswith("| `"))
    named = set(_CODE.findall(rows))
    families = ("memory_", "entity_", "message_", "approval_")
    assert named == {name for name in NAMES if name.startswith(families)}
