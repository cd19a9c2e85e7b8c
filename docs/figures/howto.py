"""Pictures of the how-to of configured games: its code is run, and draws them.

Run with ``python docs/figures/howto.py``.
"""

from __future__ import annotations

import os
import re
from types import ModuleType

from style import IMAGES

PAGE = IMAGES.parent / "howto" / "configure.md"


def main() -> None:
    """Run the page where its pictures belong."""
    os.chdir(IMAGES)
    page = ModuleType("page")
    for code in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        exec(compile(code, str(PAGE), "exec"), vars(page))  # noqa: S102 (the page is ours)


if __name__ == "__main__":
    main()
