"""Adam by torch's own arithmetic, without its class of optimisers: making one imports torch's compiler, a second in every process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

_KEPT = ("exp_avg", "exp_avg_sq")


class Adam:
    """Adam (Kingma and Ba, 2015) with its usual constants; bit for bit the steps of ``torch.optim.Adam``.

    Args:
        parameters: what is stepped, by what ``backward`` left in ``grad``; those without a gradient stay.
        learning_rate: > 0; it may be set anew between steps.
        maximize: whether steps go up.
        fused: whether one kernel does a step; it rounds otherwise than the chain of operations.
    """

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float, *, maximize: bool = False, fused: bool = True
    ) -> None:
        self.maximize, self.fused, self.parameters = maximize, fused, list(parameters)
        self.param_groups: list[dict[str, Any]] = [{"params": self.parameters, "lr": learning_rate}]
        self._state: dict[int, dict[str, Tensor]] = {}

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
        moved = [number for number, parameter in enumerate(self.parameters) if parameter.grad is not None]
        states = [self._of(number) for number in moved]
        means, squares = ([state[name] for state in states] for name in _KEPT)
        parameters = [self.parameters[number] for number in moved]
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
                beta1=0.9,
                beta2=0.999,
                lr=self.learning_rate,
                weight_decay=0.0,
                eps=1e-8,
                maximize=self.maximize,
            )

    def _of(self, number: int) -> dict[str, Tensor]:
        if number not in self._state:
            zeros = {name: torch.zeros_like(self.parameters[number], requires_grad=False) for name in _KEPT}
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
        self._state = loaded
