"""Strings of the cluster as text that may be shown: nothing in them steers a terminal or breaks a line."""

from __future__ import annotations

INSTEAD = "\N{REPLACEMENT CHARACTER}"


def plain(text: str) -> str:
    """The text with a replacement character for each control, format or separator character but the blank.

    Escape sequences, line breaks, marks that reverse the direction of what follows, halves of surrogate pairs
    and blanks that do not break a line are such; letters of every script are not.

    >>> plain("gpu-07"), plain("a" + chr(27) + "[2Jb")
    ('gpu-07', 'a\N{REPLACEMENT CHARACTER}[2Jb')
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else INSTEAD for c in text)
