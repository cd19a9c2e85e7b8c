"""Libraries that draw on global generators and start threads: contained, so that what they do repeats and leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from stackelberg_games.numerics.threads import single_threaded


@contextmanager
def contained(seed: int) -> Iterator[None]:
    """One thread, and global generators that are seeded inside and restored after."""
    state = np.random.get_state()  # noqa: NPY002  # the library uses the global one
    try:
        with single_threaded(), torch.random.fork_rng():
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
