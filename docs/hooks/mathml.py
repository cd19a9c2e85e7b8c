"""Turn TeX in pages into MathML when the site is built, so that it needs no script and no network."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
_FUNCTION = re.compile(r"\\(log|exp)(?=\s+[^\s\\({]|\s+\\(?!left))")
_BEFORE_FUNCTION = re.compile(r"(?<=[\w}])\s+(?=\\(?:log|exp)\b)")
_LEFT_OVER = re.compile(r"<m[io]>(&(amp;)?|\\\w*)</m[io]>")


def mathml(tex: str, display: str) -> str:
    """A formula as MathML.

    Raises:
        ValueError: a part of it is not understood.
    """
    spaced = _BEFORE_FUNCTION.sub(r"\\,", _FUNCTION.sub(r"\\\1\\,", html.unescape(tex).strip()))
    found = str(convert(spaced, display=display))
    if match := _LEFT_OVER.search(found):
        raise ValueError(f"{match[1]!r} is not understood in the formula {tex!r}")
    return found


def on_page_content(html: str, **_: Any) -> str:
    """Replace every formula of a page."""
    html = _DISPLAY.sub(lambda m: f'<div class="formula" tabindex="0">{mathml(m[1], "block")}</div>', html)
    return _INLINE.sub(lambda m: mathml(m[1], "inline"), html)
