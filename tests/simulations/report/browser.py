"""Debian's Chromium, headless and without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path

HARNESS = """<!DOCTYPE html><body style="margin:0"><iframe src="{page}" width="{width}" height="{height}"
style="border:0;display:block"></iframe><pre id="found"></pre><script>
addEventListener("load", () => {{
  const inner = document.querySelector("iframe").contentDocument, root = inner.documentElement;
  document.getElementById("found").textContent = [root.scrollWidth, root.clientWidth, root.scrollHeight,
    getComputedStyle(inner.body).backgroundColor].join("|");
}});
</script></body>
"""


@dataclass(frozen=True)
class Shown:
    """A page as the browser lays it out.

    Attributes:
        needed: width in pixels that it needs.
        width: that it has.
        height: that it needs.
        ground: the colour of its background.
    """

    needed: int
    width: int
    height: int
    ground: str


@dataclass(frozen=True)
class Browser:
    """Opens pages, each time with a fresh profile in `folder`."""

    program: str
    folder: Path

    def run(self, page: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """Open a page and do what the options say."""
        command = [
            *(self.program, "--headless", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"),
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            *("--allow-file-access-from-files", f"--user-data-dir={self.folder / 'profile'}"),
            *("--proxy-server=127.0.0.1:9", "--enable-logging=stderr", "--virtual-time-budget=10000"),
            *(*options, page.as_uri()),
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    def console(self, page: Path) -> list[str]:
        """What the page has written to the console, exceptions and refused requests among it."""
        return re.findall(r".*CONSOLE.*", self.run(page, "--dump-dom").stderr)

    def shown(self, page: Path, width: int, *options: str) -> Shown:
        """How the page is laid out in a window of this width."""
        harness = self._harness(page, width, 800)
        told = re.search(r'<pre id="found">([^<]+)</pre>', self.run(harness, "--dump-dom", *options).stdout)
        assert told, "the page was not laid out"
        needed, has, height, ground = unescape(told[1]).split("|")
        return Shown(int(needed), int(has), int(height), ground)

    def screenshot(self, page: Path, width: int, height: int, *options: str) -> Path:
        """A picture of the upper part of the page."""
        harness, target = self._harness(page, width, height), self.folder / "screenshot.png"
        self.run(harness, f"--screenshot={target}", f"--window-size={max(width, 500)},{height}", *options)
        return target

    def _harness(self, page: Path, width: int, height: int) -> Path:
        """A page with the page in a frame: a window may be no narrower than 500 pixels, a frame may."""
        harness = self.folder / "harness.html"
        harness.write_text(HARNESS.format(page=page.as_uri(), width=width, height=height), encoding="utf-8")
        return harness


def installed(folder: Path) -> Browser:
    """The browser of this machine."""
    program = shutil.which("chromium")
    assert program, "chromium is not there; install it (Debian: apt-get install chromium)"
    return Browser(program, folder)
