"""Adam as torch has it, without its class of optimisers: making one imports torch's compiler, a second in every process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam

from stackelberg_games.numerics.log_rows import added_up
from stackelberg_games.numerics.randomness import compiled

_KEPT = ("exp_avg", "exp_avg_sq")
FAST, SLOW, LEAST = 0.9, 0.999, 1e-8
"""How much of the averages of gradients and of their squares stays, and what is added to the root of the latter."""


class Adam:
    """Adam (Kingma and Ba, 2015) with its usual constants; the steps of ``torch.optim.Adam``, double precision to the last digit.

    Where a gradient is a sparse tensor, its rows and their averages alone move, by the steps of ``torch.optim.SparseAdam``.

    Args:
        parameters: what is stepped, by what ``backward`` left in ``grad``; those without a gradient stay.
        learning_rate: > 0; it may be set anew between steps.
        maximize: whether steps go up.
        fused: whether one kernel does a step, our own in double precision; it rounds otherwise than the chain of operations.
    """

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float, *, maximize: bool = False, fused: bool = True
    ) -> None:
        self.maximize, self.fused, self.parameters = maximize, fused, list(parameters)
        self.param_groups: list[dict[str, Any]] = [{"params": self.parameters, "lr": learning_rate}]
        self._state: dict[int, dict[str, Tensor]] = {}
        self._flat: dict[int, Any] = {}  # the same as arrays

    @property
    def learning_rate(self) -> float:
        """Also ``param_groups[0]["lr"]``, where code that is written for torch looks for it."""
        return float(self.param_groups[0]["lr"])

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self.param_groups[0]["lr"] = rate

    def zero_grad(self) -> None:
        """Forget gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """One step."""
        others = []
        for number, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                continue
            if parameter.grad.is_sparse:
                self._step_rows(parameter, added_up(parameter.grad), self._of(number))
            elif self.fused and parameter.dtype == torch.float64 and parameter.is_contiguous():
                self._step_all(number, parameter, parameter.grad)
            else:
                others.append(number)
        if others:
            self._step_of_torch(others)

    def _step_all(self, number: int, parameter: Tensor, gradient: Tensor) -> None:
        if number not in self._flat:
            self._flat[number] = tuple(self._of(number)[name].numpy().ravel() for name in ("step", *_KEPT))
        arrays = (parameter.detach().numpy().ravel(), gradient.numpy().ravel(), *self._flat[number])
        _move_all(arrays, self.learning_rate, -1.0 if self.maximize else 1.0)
        torch.autograd.graph.increment_version(parameter)

    def _step_of_torch(self, numbers: list[int]) -> None:
        states, parameters = [self._of(number) for number in numbers], [self.parameters[number] for number in numbers]
        means, squares = ([state[name] for state in states] for name in _KEPT)
        with torch.no_grad():
            adam(
                parameters,
                [parameter.grad for parameter in parameters],  # type: ignore[misc]
                means,
                squares,
                [],
                [state["step"] for state in states],
                foreach=False,
                fused=self.fused,
                amsgrad=False,
                beta1=FAST,
                beta2=SLOW,
                lr=self.learning_rate,
                weight_decay=0.0,
                eps=LEAST,
                maximize=self.maximize,
            )

    def _step_rows(self, parameter: Tensor, gradient: Tensor, state: dict[str, Tensor]) -> None:
        state["step"] += 1
        taken = float(state["step"])
        size = self.learning_rate * (1 - SLOW**taken) ** 0.5 / (1 - FAST**taken)
        tables = tuple(table.detach().numpy() for table in (parameter, *(state[name] for name in _KEPT)))
        rows, pulls = gradient.indices()[0].numpy(), gradient.values().numpy()
        _move(rows, -pulls if self.maximize else pulls, tables, -size)
        torch.autograd.graph.increment_version(parameter)

    def _of(self, number: int) -> dict[str, Tensor]:
        if number not in self._state:
            zeros = {name: _zeros_like(self.parameters[number]) for name in _KEPT}
            self._state[number] = {"step": torch.tensor(0.0, dtype=torch.float32), **zeros}
        return self._state[number]

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` continues from, laid out as torch does."""
        return {"state": {number: dict(state) for number, state in self._state.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state.

        Raises:
            ValueError: it belongs to other parameters.
        """
        loaded = {}
        for number, kept in state["state"].items():
            shape = self.parameters[number].shape if number in range(len(self.parameters)) else None
            loaded[number] = {name: kept[name].clone() for name in ("step", *_KEPT)}
            if any(loaded[number][name].shape != shape for name in _KEPT):
                raise ValueError(f"the optimizer's state number {number} belongs to other parameters")
        self._state, self._flat = loaded, {}


def _zeros_like(parameter: Tensor) -> Tensor:
    """Zeros, whose memory is taken where they are first looked at: of a large table a few rows are."""
    if parameter.dtype == torch.float64 and parameter.is_cpu:
        return torch.from_numpy(np.zeros(parameter.shape))
    return torch.zeros_like(parameter, requires_grad=False)


@compiled
def _move(rows: Any, gradients: Any, tables: Any, size: float) -> None:
    parameter, mean, square = tables
    for i in range(rows.shape[0]):
        for j in range(gradients.shape[1]):
            s, gradient = rows[i], gradients[i, j]
            mean[s, j] += (gradient - mean[s, j]) * (1 - FAST)
            square[s, j] += (gradient * gradient - square[s, j]) * (1 - SLOW)
            parameter[s, j] += size * (mean[s, j] / (np.sqrt(square[s, j]) + LEAST))


@compiled
def _move_all(arrays: Any, rate: float, sign: float) -> None:
    """What torch does, without looking at a few numbers for fifty microseconds before."""
    parameter, gradients, taken, mean, square = arrays
    taken[0] += 1
    size, root = rate / (1 - FAST ** float(taken[0])), np.sqrt(1 - SLOW ** float(taken[0]))
    for i in range(parameter.shape[0]):
        gradient = sign * gradients[i]
        mean[i] += (gradient - mean[i]) * (1 - FAST)
        square[i] = SLOW * square[i] + (1 - SLOW) * gradient * gradient
        parameter[i] -= size * mean[i] / (np.sqrt(square[i]) / root + LEAST)
