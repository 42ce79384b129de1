"""Strings of the cluster as text that may be shown: nothing in them steers a terminal or breaks a line."""

from __future__ import annotations

import unicodedata


def plain(text: str) -> str:
    """The text with a replacement character for each control, format or separator character.

    Escape sequences, line breaks, marks that reverse the direction of what follows, and halves of surrogate
    pairs are such; letters of every script and ordinary blanks are not.

    >>> plain("gpu-07"), plain("a" + chr(27) + "[2Jb")
    ('gpu-07', 'a\N{REPLACEMENT CHARACTER}[2Jb')
    """
    if text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" else c
        for c in text
    )
