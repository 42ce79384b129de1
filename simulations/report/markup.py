"""HTML and SVG as text that cannot be broken by what is put into it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = frozenset({"meta", "br"})


class Markup(str):
    """Text that is markup already; every other text is escaped where it is put in."""

    __slots__ = ()


def text(content: object) -> Markup:
    """Markup as it is, anything else escaped.

    >>> text("a < b"), text(Markup("<p>"))
    ('a &lt; b', '<p>')
    """
    return content if isinstance(content, Markup) else Markup(escape(str(content)))


def joined(parts: Iterable[object]) -> Markup:
    """One after the other."""
    return Markup("".join(text(part) for part in parts))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element; `_` in the name of an attribute stands for `-`, one at its end for nothing.

    >>> tag("p", "1 < 2", class_="wide", aria_label='"')
    '<p class="wide" aria-label="&quot;">1 &lt; 2</p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items()
    )
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{joined(children)}</{name}>")


def table(caption: str, heads: Iterable[object], rows: Iterable[Iterable[object]]) -> Markup:
    """A table whose first column names its rows."""
    body = (
        tag(
            "tr",
            *(tag("td", cell) if column else tag("th", cell, scope="row") for column, cell in enumerate(row)),
        )
        for row in rows
    )
    head = tag("tr", *(tag("th", name, scope="col") for name in heads))
    made = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption)


def beside(summary: str, *content: object) -> Markup:
    """The figures of a picture, out of sight until somebody wants them."""
    return tag("details", tag("summary", summary), *content)
