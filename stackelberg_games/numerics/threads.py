"""How the libraries below compute: with how many threads, on which device, with gradients or without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, wraps
from typing import ParamSpec, TypeVar

import torch
from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
R = TypeVar("R")


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def own_modes() -> Iterator[None]:
    """Gradients can be had inside, on the CPU, whatever the caller has set.

    A larger framework calls from within ``torch.no_grad`` or ``torch.inference_mode``, or has set a default device.
    """
    with ExitStack() as modes:
        modes.enter_context(torch.inference_mode(False))
        modes.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            modes.enter_context(torch.device("cpu"))
        yield


def in_own_modes(function: Callable[P, R]) -> Callable[P, R]:
    """``own_modes`` as a decorator; where they hold already, entering them again is spared."""

    @wraps(function)
    def call(*positional: P.args, **named: P.kwargs) -> R:
        usual = torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        if usual and torch.empty(0).is_cpu:  # a tenth of the time that asking for the default device takes
            return function(*positional, **named)
        with own_modes():
            return function(*positional, **named)

    return call


@contextmanager
def single_threaded() -> Iterator[None]:
    """One thread and ``own_modes`` inside, as before outside; also a decorator, as ``@single_threaded()``.

    Sums are then taken in the same order on every machine, and the matrices here are so small that several
    threads mostly wait for each other.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _pools().limit(limits=1), own_modes():
            yield
    finally:
        torch.set_num_threads(threads)
