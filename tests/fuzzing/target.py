"""What all targets have in common."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from stackelberg_games.errors import StackelbergError

Case = Any
"""Plain data: what JSON can hold."""


@dataclass(frozen=True)
class Target:
    """One kind of input.

    Attributes:
        name: of the target, and of its file of the corpus.
        cases: how to draw a case.
        run: works a case off; raises ``StackelbergError`` where it is refused, anything else is a finding.
        sound: a case that changes nothing, and is worked off.
        share: of a campaign's examples.
    """

    name: str
    cases: st.SearchStrategy[Case]
    run: Callable[[Case], None]
    sound: Case
    share: float


def held(target: Target, case: Case) -> bool:
    """Run a case: true where it was worked off, false where it was refused; whatever else happens is raised."""
    random.seed(0)
    try:
        target.run(case)
    except StackelbergError:
        return False
    return True


POSITIONS = st.integers(0, 2**20)
"""Where an edit applies, modulo the number of places there are."""
