"""What colours, dashes and shades stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from simulations.report.markup import Markup, tag

COLOURS = 8
"""that the style sheet has"""


def strategy_style(index: int) -> str:
    """The class of a strategy's line: a colour and dashes of its own."""
    return f"s{index % COLOURS}"


def profile_styles(sizes: Mapping[str, int]) -> dict[str, str]:
    """The class of each profile's blocks, the smallest first."""
    ordered = sorted(sizes, key=lambda name: (sizes[name], name))
    return {name: f"p{index % COLOURS}" for index, name in enumerate(ordered)}


def key(entries: Iterable[tuple[str, str]], *, blocks: bool = False) -> Markup:
    """What each line or block stands for."""
    return tag("ul", *(_entry(style, name, blocks) for style, name in entries), class_="key")


def _entry(style: str, name: str, block: bool) -> Markup:
    mark = (
        tag("path", class_=f"area {style}", d="M1 1H27V11H1Z")
        if block
        else tag("path", class_=f"line {style}", d="M0 6H28")
    )
    return tag("li", tag("svg", mark, viewBox="0 0 28 12", width=28, height=12, aria_hidden="true"), name)
