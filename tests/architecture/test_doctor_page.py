"""The page of the doctor says what its table says, and every link of a finding leads there."""

import re

from node.doctor.finding import PAGE
from node.doctor.table import SECTIONS
from node.errors import Exit
from tests.architecture.docs_blocks import text_of
from tests.architecture.doctor_page import ROOT, page


def test_the_page_says_what_the_table_says() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page()


def test_every_link_of_a_finding_leads_to_a_heading() -> None:
    heads = re.findall(r"^#+ (.+)$", text_of(PAGE), re.MULTILINE)
    anchors = [re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads]
    assert len(anchors) == len(set(anchors))
    for check in SECTIONS:
        for kind in check.kinds:
            name, _, anchor = kind.link.partition("#")
            assert (ROOT / name).is_file()
            assert anchor in anchors, kind.link


def test_the_page_names_the_exit_codes() -> None:
    text = text_of(PAGE)
    for code in (Exit.DOCTOR_WARNS, Exit.DOCTOR_CRITICAL, Exit.UNREACHABLE):
        assert f"| {int(code)} |" in text
