"""The total derivative of the leader's objective through the follower's first-order condition.

With the leader's parameters theta, the follower's w and grad_w JF = 0 at its response,

    dJL/dtheta = grad_theta JL - (d^2 JF / dw dtheta)' (d^2 JF / dw^2)^-1 grad_w JL

(implicit function theorem; the leader's update of Stackelberg actor-critic, Zheng, Fiez, Alumbaugh,
Chasnov and Ratliff, AAAI 2022, arXiv 2109.12286, section 3). The linear system is solved by conjugate
gradients on products with the Hessian, so the Hessian is never formed. As published, a regularisation
d replaces -d^2 JF / dw^2 by itself plus d I; large values lead to the leader's own partial gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

TOLERANCE = 1e-10
"""Residual, as a share of the right-hand side, at which conjugate gradients stop."""


def total_surrogate(leader: Tensor, follower: Tensor, response: Tensor, *, regularisation: float = 0.0) -> Tensor:
    """Scalar whose gradient in the leader's parameters is the total derivative.

    Args:
        leader, follower: both objectives, scalars that are differentiable in the leader's parameters
            and in ``response``, the follower's twice.
        response: the follower's parameters w as a leaf, any shape; where JF is flat in a direction,
            JL has to be so too, and the shortest solution is taken.
        regularisation: d >= 0.
    """
    return leader + implicit_term(leader, follower, response, regularisation=regularisation)


def implicit_term(leader: Tensor, follower: Tensor, response: Tensor, *, regularisation: float = 0.0) -> Tensor:
    """Scalar whose gradient in the leader's parameters is the second summand alone; arguments as above."""
    (pull,) = torch.autograd.grad(leader, response, retain_graph=True)
    (slope,) = torch.autograd.grad(follower, response, create_graph=True)

    def product(vector: Tensor) -> Tensor:
        (curved,) = torch.autograd.grad(slope, response, vector, retain_graph=True)
        return regularisation * vector - curved

    return (conjugate_gradients(product, pull) * slope).sum()


def conjugate_gradients(product: Callable[[Tensor], Tensor], right: Tensor) -> Tensor:
    """Solution of M x = right for a symmetric positive semidefinite M, given by its products.

    It ends at the first direction in which M does not curve upwards (as in truncated Newton methods):
    rounding, or a follower that is not at a maximum.
    """
    solution, residual = torch.zeros_like(right), right.clone()
    direction, size = residual.clone(), (residual * residual).sum()
    enough = TOLERANCE**2 * size
    for _ in range(2 * right.numel()):
        if size <= enough:
            break
        moved = product(direction)
        curvature = (direction * moved).sum()
        if curvature <= torch.finfo(right.dtype).eps * (direction * direction).sum() * moved.abs().max():
            break
        step = size / curvature
        solution = solution + step * direction
        residual = residual - step * moved
        before, size = size, (residual * residual).sum()
        direction = residual + size / before * direction
    return solution
