"""Bilevel linear-quadratic regulator: the leader's noise-free push shapes where the follower's cost leaves the state.

| fact             | value                                                                  |
|------------------|------------------------------------------------------------------------|
| Agents           | leader_0, follower_0                                                   |
| State            | x in R^2; observation float32 [2]                                      |
| Leader action    | a in R; x' = A x + B u + C a                                           |
| Follower action  | u in R; the follower sees a                                            |
| Follower reward  | -(x'Q x + u'R u), of the state before the stage                        |
| Leader reward    | by variant, of the state before the stage; v4: exp(-sum_i (x_i - t_i)^2 / (2 w_i^2)) |
| Discounts        | 0.99 (leader), 0.95 (follower)                                         |
| Horizon          | 100; no terminal states                                                |
| Optimum          | v4, tau = 0.1: K = (-9.9615, -10.000), 11.31; undiscounted 18.43 at K = (-9.9655, -10.000) |

Variants: v0 pays the leader what the follower gets plus ``min(x_1, 0)``, from a random start;
v1 pays ``min(x_1, 0)``; v2 pays 1 where |x_2| <= 0.05; v3 pays 1 where |x - (-0.5, 0)| < 0.25; v4
pays a bump around (-0.8, 0) of widths (0.2, 0.01). The start is (1, 0) but for v0 (and, for want of
another word in the source, v1 and v2), where it is standard normal.

Source: the LQR games of BC-HG (arXiv 2603.14867), with the constants of its experiments.

Version history: v0, first version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from stackelberg_games.errors import UnknownIdError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.linear_quadratic import Cost, Dynamics, LinearGaussianGame
from stackelberg_games.kinds.moments import Band, Bump, Disk, NegativePart, StateReward

if TYPE_CHECKING:
    from stackelberg_games.rules.scene import Scene

VARIANTS = ("v0", "v1", "v2", "v3", "v4")
A, B, C = ((0.0, 1.0), (0.0, 0.0)), ((0.0,), (0.1,)), ((0.1,), (0.0,))
IDENTITY, ONE = ((1.0, 0.0), (0.0, 1.0)), ((1.0,),)


class LQR(LinearGaussianGame):
    """The plane of ``lqr-v0`` with a picture of its own."""

    def draw(self, axes: Any, scene: Scene) -> bool:
        """Phase portrait: reward in the background, drift, both pushes, and the state."""
        if len(self.start) != 2:
            return False
        from stackelberg_games.kinds.phase import draw_phase

        draw_phase(self, axes, scene)
        return True


def _reward(variant: str, scale: float, target: ArrayLike | None, widths: ArrayLike, radius: float) -> StateReward:
    if variant in ("v0", "v1"):
        return NegativePart(scale)
    if variant == "v2":
        return Band(scale, radius)
    if variant == "v3":
        return Disk(scale, np.asarray((-0.5, 0.0) if target is None else target, dtype=np.float64), radius)
    return Bump.of_widths(scale, (-0.8, 0.0) if target is None else target, widths)


def game(
    variant: str = "v4",
    *,
    A: ArrayLike = A,
    B: ArrayLike = B,
    C: ArrayLike = C,
    Q: ArrayLike = IDENTITY,
    R: ArrayLike = ONE,
    start: ArrayLike | None = None,
    start_std: ArrayLike | None = None,
    noise: ArrayLike = 0.0,
    scale: float = 1.0,
    target: ArrayLike | None = None,
    widths: ArrayLike = (0.2, 0.01),
    radius: float | None = None,
    leader_discount: float = 0.99,
    follower_discount: float = 0.95,
    horizon: int | None = 100,
) -> LQR:
    """A linear-quadratic game.

    Args:
        variant: the leader's reward, one of ``VARIANTS``.
        A, B, C: dynamics, ``[n, n]``, ``[n, m]``, ``[n, k]``.
        Q, R: the follower's cost, ``[n, n]`` positive semidefinite and ``[m, m]`` positive definite.
        start, start_std: mean ``[n]`` and deviation (a number or a factor ``[n, n]``) of the first
            state; None for the variant's own.
        noise: deviation of the process noise, a number or a factor ``[n, n]``.
        scale: of the leader's reward.
        target: of v3 and v4, ``[n]``.
        widths: of the bump of v4, ``[n]``.
        radius: of v3 (0.25), and half width of the band of v2 (0.05).
        leader_discount, follower_discount: in [0, 1); 1 is allowed for the leader with a horizon.
        horizon: stages; None for the infinite game.

    Raises:
        UnknownIdError: no such variant.
        InvalidGameError: see ``LinearGaussianGame``.
    """
    if variant not in VARIANTS:
        raise UnknownIdError("lqr variant", variant, VARIANTS)
    random_start = variant in ("v0", "v1", "v2")
    size = np.shape(A)[0] if np.ndim(A) else 0
    if start is None:
        start = np.zeros(size) if random_start else np.eye(size)[0]
    if start_std is None:
        start_std = 1.0 if random_start else 0.0
    if radius is None:
        radius = 0.05 if variant == "v2" else 0.25
    return LQR(
        Dynamics(A, B, C, start, start_std, noise),
        Cost(Q, R, 1.0 if variant == "v0" else 0.0),
        _reward(variant, scale, target, widths, radius),
        leader_discount=leader_discount,
        follower_discount=follower_discount,
        horizon=horizon,
        name="lqr-v0",
    )


env, raw_env, parallel_env = faces(game)
