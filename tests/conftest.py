"""One thread for each worker of the tests and its children, unless somebody says otherwise.

The matrices are small: several threads mostly wait for each other, and the tests take twice as long. The
libraries read the variable once, so it is set before any of them is loaded.

A page of the documentation that uses an extra is skipped where that is not installed, and so is a registered game that needs one, in
tests of all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Run a test."""
    from stackelberg_games import games
    from stackelberg_games.errors import MissingExtraError

    try:
        yield
    except MissingExtraError as error:
        given = getattr(item, "callspec", None)
        about = () if given is None else given.params.values()
        if item.path.name != "test_docs.py" and not any(isinstance(each, str) and each in games() for each in about):
            raise
        pytest.skip(str(error))
