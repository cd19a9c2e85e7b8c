"""Pictures of how-to pages: their code is run, and draws them.

Run with ``python docs/figures/howto.py``.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import ModuleType

from style import IMAGES

PAGES = {
    "configure": IMAGES,
    "results": IMAGES / "day",
    "sweeps": IMAGES / "day",
    "../tutorials/train_and_look": IMAGES / "day",
    "../tutorials/your_leader": IMAGES / "day",
}
"""Where the pictures of a page belong."""


def run_page(name: str, folder: Path) -> None:
    """Run the Python of a page where its pictures belong."""
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    page, file = ModuleType("page"), IMAGES.parent / "howto" / f"{name}.md"
    for code in re.findall(r"^```python\n(.*?)^```$", file.read_text(), re.DOTALL | re.MULTILINE):
        exec(compile(code, str(file), "exec"), vars(page))  # noqa: S102 (the page is ours)


def main() -> None:
    """All pages, or those that are named."""
    for name in sys.argv[1:] or PAGES:
        run_page(name, PAGES[name])


if __name__ == "__main__":
    main()
