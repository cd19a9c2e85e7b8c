"""Steps of Adam are those of torch's own class, to the bit but in double precision, and a stored state of either continues in ours."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from stackelberg_games.numerics.adam import Adam

CASES = [(fused, maximize) for fused in (True, False) for maximize in (True, False)]


def gradients(seed: int, parameters: list[torch.Tensor]) -> None:
    drawn = torch.Generator().manual_seed(seed)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=drawn, dtype=parameter.dtype)
    if seed % 3 == 2:
        parameters[-1].grad = None


def fresh(dtype: torch.dtype) -> list[torch.Tensor]:
    return [torch.zeros(shape, dtype=dtype, requires_grad=True) for shape in ((3, 2), (), (5,))]


def theirs(parameters: list[torch.Tensor], fused: bool, maximize: bool) -> Any:
    return torch.optim.Adam(parameters, lr=0.02, maximize=maximize, fused=fused)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("fused", "maximize"), CASES)
def test_steps_are_those_of_torch(fused: bool, maximize: bool, dtype: torch.dtype) -> None:
    ours, others = fresh(dtype), fresh(dtype)
    adam, other = Adam(ours, 0.02, maximize=maximize, fused=fused), theirs(others, fused, maximize)
    for seed in range(7):
        for parameters, optimizer in ((ours, adam), (others, other)):
            gradients(seed, parameters)
            optimizer.step()
    own = fused and dtype == torch.float64
    for pair in zip(ours, others, strict=True):
        torch.testing.assert_close(*pair, rtol=1e-14 if own else 0.0, atol=0.0)
    assert not torch.equal(ours[0], fresh(dtype)[0])


@pytest.mark.parametrize("of_torch", [True, False])
def test_a_stored_state_is_continued_from(of_torch: bool) -> None:
    first, second = fresh(torch.float64), fresh(torch.float64)
    one: Any = theirs(first, True, True) if of_torch else Adam(first, 0.02, maximize=True)
    for seed in range(3):
        gradients(seed, first)
        one.step()
    two = Adam(second, 0.02, maximize=True)
    two.load_state_dict(one.state_dict())
    with torch.no_grad():
        for parameter, moved in zip(second, first, strict=True):
            parameter.copy_(moved)
    for parameters, optimizer in ((first, one), (second, two)):
        gradients(4, parameters)
        optimizer.step()
    for pair in zip(first, second, strict=True):
        torch.testing.assert_close(*pair, rtol=1e-14, atol=0.0)


def test_a_state_of_other_parameters_is_refused() -> None:
    first = fresh(torch.float64)
    adam = Adam(first, 0.02)
    gradients(0, first)
    adam.step()
    with pytest.raises(ValueError, match="number 0 belongs to other parameters"):
        Adam(first[1:], 0.02).load_state_dict(adam.state_dict())


def test_the_rate_is_where_torch_has_it() -> None:
    first = fresh(torch.float64)
    adam = Adam(first, 0.02)
    adam.param_groups[0]["lr"] = 0.5
    gradients(0, first)
    adam.step()
    assert adam.learning_rate == 0.5
    assert float(first[0].detach().abs().min()) == pytest.approx(0.5)


def test_gradients_are_forgotten() -> None:
    first = fresh(torch.float64)
    gradients(0, first)
    Adam(first, 0.02).zero_grad()
    assert all(parameter.grad is None for parameter in first)


def test_training_does_without_the_compiler_of_torch() -> None:
    program = (
        "import sys, stackelberg_games as sg\n"
        "sg.train(sg.make('discrete_toy-v0'), 'bchg', 'soft_value_iteration', iterations=1, progress=False)\n"
        "print([name for name in ('torch._dynamo', 'torch._inductor') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
