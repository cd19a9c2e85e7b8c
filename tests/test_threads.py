"""Training computes with one thread and leaves the number of threads as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import threadpool_info

import stackelberg_games as sg
from stackelberg_games.numerics.threads import single_threaded


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def counts() -> set[int]:
    """Threads of torch and of every numerical library loaded."""
    return {torch.get_num_threads(), *(int(pool["num_threads"]) for pool in threadpool_info())}


@single_threaded()
def failing() -> None:
    assert torch.get_num_threads() == 1
    raise ZeroDivisionError


@pytest.mark.usefixtures("two_threads")
def test_training_computes_with_one_thread() -> None:
    seen: list[set[int]] = []
    game = sg.make("discrete_toy-v0")
    sg.train(game, "bchg", "soft_value_iteration", iterations=2, callbacks=[lambda *_: seen.append(counts())])
    assert seen == [{1}, {1}]
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_threads_come_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        failing()
    assert torch.get_num_threads() == 2
