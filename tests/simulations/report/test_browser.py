"""A report in a real browser: nothing goes wrong, nothing is cut off, and it is dark where that is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations.report.page import page
from tests.simulations.report.browser import Browser, installed
from tests.simulations.report.studies import large, simulated

PHONE, DESKTOP = 390, 1280
DARK = "--force-dark-mode"
BAD = """<!DOCTYPE html><title>bad</title><body><div style="width:700px">wide</div>
<img src="http://example.com/a.png"><script>console.error("wrong"); undefined_name();</script>"""


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return installed(tmp_path)


def saved(folder: Path, text: str) -> Path:
    file = folder / "report.html"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", ["trace", "large"])
def test_nothing_goes_wrong_offline(browser: Browser, tmp_path: Path, name: str) -> None:
    """The console stays empty: no error, no exception, no request that fails for want of a network."""
    file = saved(tmp_path, page(large(2) if name == "large" else simulated()))
    assert browser.console(file) == []


def test_what_goes_wrong_would_be_seen(browser: Browser, tmp_path: Path) -> None:
    """A page with an error, an exception and too wide a box is found out."""
    file = saved(tmp_path, BAD)
    told = "\n".join(browser.console(file))
    assert "wrong" in told
    assert "undefined_name" in told
    assert browser.shown(file, PHONE).needed >= 700


@pytest.mark.parametrize("width", [320, PHONE, DESKTOP])
@pytest.mark.parametrize("name", ["trace", "large"])
def test_a_page_fits_its_window(browser: Browser, tmp_path: Path, width: int, name: str) -> None:
    """On a phone and on a desk nothing has to be scrolled sideways but what scrolls in a box of its own."""
    file = saved(tmp_path, page(large(2) if name == "large" else simulated()))
    found = browser.shown(file, width)
    assert found.needed == found.width == width
    assert found.height > 1000


def test_it_is_dark_where_that_is_wanted(browser: Browser, tmp_path: Path) -> None:
    """The ground follows the reader's setting."""
    file = saved(tmp_path, page(simulated()))
    assert browser.shown(file, DESKTOP).ground == "rgb(255, 255, 255)"
    assert browser.shown(file, DESKTOP, DARK).ground == "rgb(18, 22, 27)"


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_pictures_can_be_taken(browser: Browser, tmp_path: Path, width: int) -> None:
    """Light and dark, on a phone and on a desk: four pictures that are not blank and not the same."""
    file = saved(tmp_path, page(simulated()))
    light = browser.screenshot(file, width, 1600).read_bytes()
    dark = browser.screenshot(file, width, 1600, DARK).read_bytes()
    blank = browser.screenshot(
        saved(tmp_path, "<!DOCTYPE html><title>blank</title>"), width, 1600
    ).read_bytes()
    assert light != dark
    assert min(len(light), len(dark)) > 5 * len(blank)
