import json
import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from chaos.report.figures import report_of
from chaos.report.markdown import markdown
from chaos.report.page import BOUND_MEANS, page, verdict_of
from chaos.report.reading import Campaign, read
from tests.unit.chaos.report.made import NAMES, Maker, begin, campaign, lines, verdict

MIB = 1 << 20
VOID = {"meta", "br", "link", "img", "input", "hr"}
MAY_STAND = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "nav", "section"),
    *("h1", "h2", "h3", "p", "a", "b", "strong", "span", "ul", "li", "div", "figure", "br"),
    *("figcaption", "details", "summary", "table", "caption", "thead", "tbody", "tr", "th", "td"),
    *("code", "svg", "desc", "path", "rect", "text"),
}
HOSTILE = "</script></svg></td><script>alert(1)</script>\" onload='x' \u202e\u2066\x00\x1b]]>&lt;"


class Balance(HTMLParser):
    """Every element is closed where it was opened, and is one that we know."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(given["id"] or "")
        self.targets += [one.removeprefix("#") for one in [given.get("href") or ""] if one]
        self.targets += (given.get("aria-labelledby") or "").split()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()


def well_formed(text: str) -> Balance:
    parser = Balance()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    assert parser.seen <= MAY_STAND
    assert not [name for name in parser.attributes if name.startswith("on") or name == "src"]
    assert len(parser.ids) == len(set(parser.ids))
    assert set(parser.targets) <= set(parser.ids)
    return parser


def pictures(text: str) -> Iterator[ET.Element]:
    for found in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        yield ET.fromstring(found)  # noqa: S314 - our own


def page_of(campaign: Campaign) -> str:
    return page(campaign, report_of(campaign, NAMES))


@pytest.fixture(scope="module")
def made() -> str:
    return page_of(read(lines(campaign(5, 3))))


def test_the_page_is_well_formed_and_known_all_over(made: str) -> None:
    assert well_formed(made).seen >= {"svg", "table", "details", "figure"}


def test_the_page_needs_nothing_but_itself(made: str) -> None:
    bare = made.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "://" not in bare
    assert not re.search(r"<script|<link|<img|@import|url\(|javascript:|data:", bare)
    assert "default-src &#x27;none&#x27;" in made


def test_every_picture_is_svg_with_words_for_who_listens(made: str) -> None:
    found = list(pictures(made))
    assert len(found) == 4 + 1 + 49
    space = "{http://www.w3.org/2000/svg}"
    for one in found:
        for child in ("title", "desc"):
            said = one.find(f"{space}{child}")
            assert said is not None
            assert said.text
            assert said.get("id") in (one.get("aria-labelledby") or "").split()


def test_no_mark_lies_outside_its_picture(made: str) -> None:
    for one in pictures(made):
        _, _, wide, high = map(float, (one.get("viewBox") or "").split())
        for mark in one.iter("{http://www.w3.org/2000/svg}rect"):
            x, y, w, h = (float(mark.get(name) or 0) for name in ("x", "y", "width", "height"))
            assert -0.5 <= x <= x + w <= wide + 3, one.get("aria-labelledby")
            assert -0.5 <= y <= y + h <= high, one.get("aria-labelledby")


def test_every_class_and_every_total_is_on_the_page(made: str) -> None:
    for name, words in NAMES.items():
        assert f"{name} {words}" in made
    for said in ("1 cycle of 146 failed", "<b>147</b>cycles played", "tc has no netem", "F22"):
        assert said in made
    assert "no proof of the fault" in made
    assert BOUND_MEANS in made
    assert "mnemesh chaos run --class F22 --cycles 1 --seed" in made


@pytest.mark.thorough
def test_a_campaign_of_three_thousand_cycles_is_a_small_page() -> None:
    names = [name for name in NAMES if name not in {"F08", "F15"}][:40]
    text = page_of(read(lines(campaign(8, 75, classes=names, writes=6))))
    well_formed(text)
    assert "<b>3,000</b>cycles played" in text
    assert len(text.encode()) < MIB


def test_a_thousand_failures_are_all_listed_and_some_drawn() -> None:
    maker = Maker(9, writes=4, samples=8)
    rows = [begin()]
    for _ in range(1000):
        rows += maker.play("F01", "fail", why="broken")
    text = page_of(read(lines(rows)))
    assert text.count("mnemesh chaos run --class F01") == 1000
    assert "The first 60 of 1,000 failing cycles are drawn" in text
    assert len(text.encode()) < 2 * MIB


def hostile() -> Campaign:
    name = HOSTILE
    found = [{"checker": name, "rule": name, "detail": {name: [name]}}] * 20
    rows: list[dict[str, Any]] = [begin(campaign=name, version=name, plan={name: name})]
    rows[0] |= {"nodes": [name, "n2"], "machine": {name: name}, "seed": name, "started": name}
    maker = Maker(10)
    play = [*maker.play(name, "fail", why=name, anomalies=found)]
    play += maker.play(name, "void", why=name)
    for row in play:
        if row["kind"] in {"fault", "expect"}:
            row |= {"what": name, "ok": False}
        if row["kind"] == "sample":
            row["nodes"] = {name: next(iter(row["nodes"].values()))}
    return read(lines([*rows, *play, verdict(3, name, 0.0, "not_run", why=name)]))


def test_hostile_text_is_text() -> None:
    campaign = hostile()
    text = page(campaign, report_of(campaign, {HOSTILE: HOSTILE}))
    well_formed(text)
    assert len(list(pictures(text))) >= 2
    assert "<script" not in text
    assert "alert(1)" in text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b]", text)
    assert "\\u202e" in text
    text.encode()


def test_fields_of_any_kind_still_give_a_page() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    strange: list[Any] = [
        None,
        [],
        {},
        -1,
        -1e300,
        1e300,
        True,
        "\ud800<",
        [[1]],
        {"a": 1},
        10**400,
    ]
    whole = [begin(), *Maker(9, writes=5, samples=5).play("F01", "fail")]
    for _ in range(60):
        rows = [dict(row) for row in whole]
        for _ in range(4):
            row = dice.choice(rows)
            row[dice.choice([name for name in row if name != "kind"])] = dice.choice(strange)
        text = page_of(read(json.dumps(row) for row in rows))
        well_formed(text)
        assert list(pictures(text))
        text.encode()


def test_the_verdict_of_the_page() -> None:
    def said(*rows: dict[str, Any]) -> tuple[bool, str]:
        return verdict_of(report_of(read(lines([begin(), *rows]))))

    assert said(*Maker(1).play("F01")) == (True, "none of 1 judged cycle failed")
    assert said() == (False, "nothing was judged")
    lost = [{"checker": "set", "rule": "lost", "detail": "x"}]
    assert not said(*Maker(1).play("F01"), *Maker(1).play("F02", "void", anomalies=lost))[0]


def test_what_whole_stores_show_at_the_end_breaks_the_claim_of_all_cycles() -> None:
    def noted(*found: dict[str, str]) -> dict[str, Any]:
        return {"kind": "note", "what": "whole", "cycle": 1, "at": 9.0, "anomalies": found}

    lost = {"checker": "campaign", "rule": "lost", "detail": "cycle 1: <b> is gone from n2"}
    played = [begin(), *Maker(1).play("F01"), {"kind": "note", "text": "free"}]
    for rows, holds in (
        ([*played, noted()], True),
        ([*played, noted(), noted(lost)], False),
        ([*played, noted(lost), {"kind": "resume", "at": 9.0}], False),
    ):
        campaign = read(lines(rows))
        report = report_of(campaign)
        assert verdict_of(report)[0] == holds
        totals = report["totals"]
        assert (totals["lost"], totals["bound95"]) == ((0, 1.0) if holds else (1, None))
        assert report["classes"][0]["bound95"] == totals["bound95"]
        for text in (page(campaign, report), markdown(report)):
            assert ("is gone from n2" in text) != holds
            assert "<b> is" not in text
