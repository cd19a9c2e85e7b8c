"""Turn TeX in pages into MathML when the site is built, so that it needs no script and no network."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def _inline(match: re.Match[str]) -> str:
    return str(convert(html.unescape(match[1])))


def _display(match: re.Match[str]) -> str:
    formula = convert(html.unescape(match[1]).strip(), display="block")
    return f'<div class="formula" tabindex="0">{formula}</div>'


def on_page_content(html: str, **_: Any) -> str:
    """Replace every formula of a page."""
    return _INLINE.sub(_inline, _DISPLAY.sub(_display, html))
