"""PettingZoo's tests with their asserts, which are what they check by, also where ``python -O`` strips asserts."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

PACKAGE = "pettingzoo.test"


class _Loader(SourceFileLoader):
    """Compiles with asserts, whatever the interpreter does, and reads no machine code without them."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = compile(self.get_data(path), path, "exec", dont_inherit=True, optimize=0)
        return code


class _Finder(MetaPathFinder):
    """Finds the modules of ``PACKAGE`` for that loader."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name.split(".")[:2] == PACKAGE.split(".") else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


@cache
def official_tests() -> ModuleType:
    """``pettingzoo.test``, which is slow to import."""
    if __debug__:
        return importlib.import_module(PACKAGE)
    finder, stripped = _Finder(), {name: sys.modules.pop(name) for name in [*sys.modules] if name.startswith(PACKAGE)}
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module(PACKAGE)
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
            del sys.modules[name]
        sys.modules.update(stripped)
