"""A report stands alone, tells everything twice (as a picture and as figures), and believes no name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise

import pytest

from simulations.history.history import distribution
from simulations.report import charts
from simulations.report.markup import tag
from simulations.report.page import Study, page
from simulations.report.waits import section
from simulations.telling import answer
from tests.simulations.report.studies import HOSTILE, SHIPPED, large, simulated

MOST_BYTES = 2_000_000
VOID = {"meta", "br"}


class Outline(HTMLParser):
    """The elements of a page: each with its attributes and the tags around it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """An element ends, the innermost one."""
        assert self.open.pop() == tag

    def every(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a name."""
        return [attributes for found, attributes, _ in self.elements if found == name]


@pytest.fixture(scope="module")
def text() -> str:
    return page(simulated())


@pytest.fixture(scope="module")
def outline(text: str) -> Outline:
    return Outline(text)


def test_every_element_is_closed(outline: Outline) -> None:
    """The page is well-formed, in a language, with one title."""
    assert outline.open == []
    assert outline.every("html") == [{"lang": "en"}]
    assert Counter(name for name, _, _ in outline.elements)["h1"] == 1


def test_the_answer_comes_first(text: str) -> None:
    """The first thing on the page is the sentence that the command prints."""
    body = text.partition("<body>")[2]
    assert body.startswith(f"<header><h1>{next(answer(simulated().outcomes))}</h1>")


def test_every_picture_is_told(text: str, outline: Outline) -> None:
    """Who cannot see a picture hears what it shows, and finds its figures in a table beside it."""
    pictures = [given for given in outline.every("svg") if "aria-hidden" not in given]
    assert len(pictures) > 20
    for given in pictures:
        assert given["role"] == "img"
        assert given["aria-label"]
    assert text.count("<desc>") == len(pictures)
    figures = re.findall(r"<figure>.*?</figure>", text, re.DOTALL)
    assert len(figures) == len(pictures)
    for found in figures:
        assert "<title>" in found
        assert re.search(r"<details><summary>.+?</summary>.*<table><caption>.+?</caption>.*<td>", found)


def test_headings_are_in_order(outline: Outline) -> None:
    """No level of headings is left out on the way down."""
    levels = [int(name[1]) for name, _, _ in outline.elements if re.fullmatch(r"h\d", name)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_what_scrolls_can_be_reached_with_keys(outline: Outline) -> None:
    """Every box that scrolls takes the focus and has a name."""
    boxes = [given for given in outline.every("div") if "scroll" in (given.get("class") or "")]
    assert boxes
    for given in [*boxes, *outline.every("pre")]:
        assert given["tabindex"] == "0"
        assert given["aria-label"]


def test_links_lead_somewhere_in_the_page(outline: Outline) -> None:
    """The contents name the sections that there are."""
    targets = {f"#{given['id']}" for _, given, _ in outline.elements if "id" in given}
    links = [given["href"] for given in outline.every("a")]
    assert links
    assert set(links) <= targets


def references(text: str) -> list[str]:
    """What a browser would fetch."""
    elements = r"<(?:script|link|img|iframe|object|embed|base)\b[^>]*"
    return re.findall(rf"{elements}|@import[^;]*|url\([^)]*\)|(?:src|srcset)=[^ >]*", text)


def test_nothing_is_fetched(text: str) -> None:
    """The page needs no network and runs no script."""
    assert references(text) == []
    assert "http" not in text.partition('id="again"')[0]
    assert references('<script src="https://cdn"></script><style>a{background:url(x)}</style>')


def test_a_node_is_drawn_while_it_is_there() -> None:
    """Nothing is drawn of a node before it joins and after it leaves; the table says when it left."""
    study = simulated()
    one = study.histories[0]
    node = replace(one.nodes[0], gpus=one.nodes[0].gpus[:1], changes=(), joined=0.0, left=None)
    (band,) = node.gpus
    early, late = one.seconds / 4, one.seconds / 2
    gone = replace(node, node="gone", left=late)
    comes = replace(
        node, node="comes", joined=late, gpus=(replace(band, layouts=((late, (("1g.10gb", 2),)),)),)
    )
    brief = replace(
        comes, joined=early, left=late, gpus=(replace(band, layouts=((early, (("1g.10gb", 2),)),)),)
    )
    after = replace(comes, joined=2 * one.seconds, gpus=(replace(band, layouts=((2 * one.seconds, None),)),))
    told = page(replace(study, histories=[replace(one, nodes=(node, gone, comes, brief, after))]))
    drawing = next(
        found for found in re.findall(r"<svg.*?</svg>", told, re.DOTALL) if "Layouts of nodes" in found
    )
    outlines = re.findall(r'class="outline" d="M([0-9.]+) [0-9.]+h([0-9.]+)v', drawing)
    (left, whole), *others = [(float(since), float(width)) for since, width in outlines]
    expected = [(0, 1 / 2), (1 / 2, 1 / 2), (1 / 4, 1 / 4)]
    assert others == [
        (pytest.approx(left + whole * since, abs=0.2), pytest.approx(whole * width, abs=0.2))
        for since, width in expected
    ]
    rows = re.findall(r"<tr>(?:(?!</tr>).)*left</td></tr>", told)
    assert len(rows) == 2


@pytest.mark.parametrize("unserved", [0, 9, 300])
def test_every_strategys_name_is_in_the_picture(unserved: int) -> None:
    """Also where all lines end at the bottom: labels stand a line apart, and none falls out."""
    study = large(7)
    told = distribution([1.0] * 9, unserved)
    waits = section([replace(one, waits={"1g.10gb": told}) for one in study.histories])
    drawing = re.findall(r"<svg.*?</svg>", str(waits), re.DOTALL)[-1]
    places = sorted(float(y) for y in re.findall(r'y="([0-9.]+)">strategy-', drawing))
    assert len(places) == 7
    assert places[0] > 0
    assert places[-1] < charts.HEIGHT - 1
    assert all(after - before >= 12.9 for before, after in pairwise(places))


def test_names_are_not_believed() -> None:
    """Whatever stands in a scenario, in the name of a node or of a profile: it is text, and no markup."""
    study = simulated()
    histories = [
        replace(
            one,
            nodes=tuple(replace(node, node=f"{HOSTILE}{number}") for number, node in enumerate(one.nodes)),
            supplies=dict.fromkeys([HOSTILE], next(iter(one.supplies.values()))),
            waits=dict.fromkeys([HOSTILE], next(iter(one.waits.values()))),
        )
        for one in study.histories
    ]
    hostile = replace(study, histories=histories, document={HOSTILE: HOSTILE}, digest=HOSTILE)
    made = page(hostile)
    assert "&lt;script&gt;" in made
    assert Outline(made).every("script") == []
    assert Outline(f"<p>{HOSTILE}</script></p>".replace('</script>"', '"')).every("script")


def test_attributes_are_escaped_too() -> None:
    """A quote ends no attribute."""
    assert Outline(tag("p", title=HOSTILE)).elements == [("p", {"title": HOSTILE}, ())]


def test_the_scenario_can_be_run_again(text: str) -> None:
    """The digest, the whole scenario and the command stand in the page; a lenient run is told as such."""
    study = simulated()
    assert study.digest in text
    assert "kind: Scenario" in text
    assert "autoslicer simulate scenario.yaml -o html=report.html" in text
    assert "scenario.yaml --lenient -o" in page(replace(study, lenient=True))


def test_the_bound_stands_beside_the_strategies(text: str) -> None:
    """Where a bound is known it is the last row of the comparison; else there is none."""
    assert "bound, for all that are served" in text
    assert "bound, for all that are served" not in page(replace(simulated(), mean_wait=None))


def test_one_strategy_is_enough() -> None:
    """Nothing is compared with nothing."""
    study = simulated()
    made = page(replace(study, outcomes=study.outcomes[:1], histories=study.histories[:1]))
    assert "The others" not in made


def made_elsewhere(seed: str) -> bytes:
    """The report of a process of its own under a hash seed."""
    program = (
        "import sys; from tests.simulations.report.studies import simulated;"
        "from simulations.report.page import page; sys.stdout.write(page(simulated()))"
    )
    given = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
    root = SHIPPED.parents[1]
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, env=given, cwd=root
    ).stdout


def test_the_same_study_gives_the_same_bytes(text: str) -> None:
    """In another process, under another hash seed."""
    assert made_elsewhere("1") == made_elsewhere("2") == text.encode()


@pytest.mark.parametrize("strategies", [2, 7])
def test_a_report_stays_small(strategies: int) -> None:
    """However long a run was and however large its cluster: two strategies, or all that there are."""
    study: Study = large(strategies)
    made = page(study)
    assert len(made.encode()) < MOST_BYTES
    assert re.search(r"99\d\d of 10000 nodes are left out", made)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    wide = colour if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:])
    parts = (int(wide[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_from_the_ground(mode: int) -> None:
    """Text has the contrast that WCAG AA asks of text, and what is drawn the one that it asks of graphics."""
    sheet = resources.files("simulations.report").joinpath("style.css").read_text(encoding="utf-8")
    rules = re.findall(r":root\{([^}]*)\}", sheet)[mode]
    colours = dict(re.findall(r"--([a-z0-9]+):(#[0-9a-f]+)", rules))
    for ground in (colours["paper"], colours["card"]):
        for name in ("ink", "soft", "link"):
            assert contrast(colours[name], ground) >= 4.5, (name, ground)
        for name in (*(f"c{number}" for number in range(8)), "used", "free", "stranded", "waiting"):
            assert contrast(colours[name], ground) >= 3, (name, ground)
    assert contrast("#000", "#fff") == pytest.approx(21)
