"""How surprising replies are, as a fitted game says it and ``temperature`` reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Surprise(NamedTuple):
    """How surprising replies are to a fitted game, by the temperature.

    Attributes:
        at: their negative log-likelihood at a temperature.
        recalls: whether they are those of the batches before too, or of the last one alone.
        dispersion: the factor on their likelihood ratios by which the fit errs at a temperature, >= 1; None where it is taken for the truth.
    """

    at: Callable[[float], float]
    recalls: bool = False
    dispersion: Callable[[float], float] | None = None
