"""Log-probabilities of some rows of a table of logits; gradients hold these rows alone, where that is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.numerics.randomness import compiled


def log_rows(logits: Tensor, rows: Tensor, *, sparse: bool) -> Tensor:
    """Log-softmax of rows of a table.

    Args:
        logits: ``[S, A]``, float64.
        rows: their numbers, int64 ``[M]``.
        sparse: whether the gradient shall be a sparse tensor.

    Returns:
        ``[M, A]``, once differentiable.
    """
    taken: Any = _LogRows.apply
    out: Tensor = taken(logits, rows, sparse)
    return out


def added_up(gradient: Tensor) -> Tensor:
    """A sparse gradient with each row once; what autograd hands on does not say whether it is."""
    rows = gradient._indices()[0]
    if bool((rows[1:] > rows[:-1]).all()):
        gradient._coalesced_(True)
    return gradient.coalesce()


class _LogRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, rows: Tensor, sparse: bool) -> Tensor:
        out = np.empty((len(rows), logits.shape[1]))
        _log_softmax(logits.detach().numpy(), rows.numpy(), out)
        ctx.kept = rows, out, logits.shape, sparse
        return torch.from_numpy(out)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        rows, out, shape, sparse = ctx.kept
        pulls = torch.from_numpy(out).exp().numpy()
        _pull(weights.contiguous().numpy(), pulls)
        if sparse:
            found = torch.sparse_coo_tensor(rows[None], torch.from_numpy(pulls), shape, check_invariants=False)
            return found, None, None
        table = torch.zeros(shape, dtype=torch.float64)
        _add(table.numpy(), rows.numpy(), pulls)
        return table, None, None


@compiled
def _log_softmax(logits: Any, rows: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        s, peak, total = rows[i], -np.inf, 0.0
        for a in range(out.shape[1]):
            peak = max(peak, logits[s, a])
        for a in range(out.shape[1]):
            total += np.exp(logits[s, a] - peak)
        shift = peak + np.log(total)
        for a in range(out.shape[1]):
            out[i, a] = logits[s, a] - shift


@compiled
def _pull(weights: Any, pulls: Any) -> None:
    """Weights of log-probabilities as those of logits, in the place of the probabilities."""
    for i in range(pulls.shape[0]):
        total = 0.0
        for a in range(pulls.shape[1]):
            total += weights[i, a]
        for a in range(pulls.shape[1]):
            pulls[i, a] = weights[i, a] - pulls[i, a] * total


@compiled
def _add(table: Any, rows: Any, pulls: Any) -> None:
    for i in range(rows.shape[0]):
        for a in range(pulls.shape[1]):
            table[rows[i], a] += pulls[i, a]
