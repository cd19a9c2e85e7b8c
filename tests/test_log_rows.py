"""Rows of log-probabilities by compiled code, beside torch's own; sparse steps of Adam beside those of torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stackelberg_games.numerics.adam import Adam
from stackelberg_games.numerics.log_rows import added_up, log_rows

ROWS = {"ascending": [0, 2, 3], "repeated": [3, 0, 3]}


def _logits() -> torch.Tensor:
    logits = torch.tensor(np.random.default_rng(0).normal(scale=3.0, size=(5, 4)))
    logits[2, 1] = -1000.0
    return logits.requires_grad_()


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("sparse", [True, False])
def test_rows_and_their_gradients_are_those_of_torch(rows: list[int], sparse: bool) -> None:
    logits, weights = _logits(), torch.tensor(np.random.default_rng(1).normal(size=(3, 4)))
    expected = torch.log_softmax(logits[rows], dim=1)
    found = log_rows(logits, torch.tensor(rows), sparse=sparse)
    assert found.detach().numpy() == pytest.approx(expected.detach().numpy(), rel=1e-14)
    (pull,), (slope,) = (torch.autograd.grad((part * weights).sum(), logits) for part in (expected, found))
    assert slope.is_sparse == sparse
    table = added_up(slope).to_dense() if sparse else slope
    assert table.numpy() == pytest.approx(pull.numpy(), abs=1e-14)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_a_sparse_gradient_has_each_row_once(rows: list[int]) -> None:
    log_rows(logits := _logits(), torch.tensor(rows), sparse=True).exp()[:, 0].sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert added_up(logits.grad).indices()[0].tolist() == sorted(set(rows))


@pytest.mark.parametrize("maximize", [True, False])
def test_sparse_steps_are_those_of_torch(maximize: bool) -> None:
    rng = np.random.default_rng(2)
    ours, theirs = _logits(), _logits()
    mine, other = Adam([ours], 0.1, maximize=maximize), torch.optim.SparseAdam([theirs], lr=0.1, maximize=maximize)
    for rows in ([0, 2, 3], [3, 0, 3], [1, 2]):
        version = ours._version
        weights = torch.tensor(rng.normal(size=(len(rows), 4)))
        for logits, optimizer in ((ours, mine), (theirs, other)):
            logits.grad = None
            (log_rows(logits, torch.tensor(rows), sparse=True) * weights).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        assert ours.detach().numpy() == pytest.approx(theirs.detach().numpy(), rel=1e-14)
        assert ours._version > version
    again = Adam([ours], 0.1, maximize=maximize)
    again.load_state_dict(mine.state_dict())
    before = ours.detach().clone()
    mine.step()
    left = ours.detach().clone()
    with torch.no_grad():
        ours.copy_(before)
    again.step()
    assert torch.equal(ours.detach(), left)
