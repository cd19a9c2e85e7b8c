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

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from stackelberg_games.errors import UnknownIdError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.linear_quadratic import Cost, Dynamics, LinearGaussianGame
from stackelberg_games.kinds.moments import Band, Bump, Disk, NegativePart, StateReward
from stackelberg_games.rules.nested import nested
from stackelberg_games.settings import checked

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


def _reward(variant: str, given: Mapping[str, Any]) -> StateReward:
    """What the leader is paid in a variant; each has settings of its own."""
    defaults: dict[str, Any] = {"scale": 1.0}
    if variant in ("v2", "v3"):
        defaults["radius"] = 0.05 if variant == "v2" else 0.25
    if variant in ("v3", "v4"):
        defaults["target"] = (-0.5, 0.0) if variant == "v3" else (-0.8, 0.0)
    if variant == "v4":
        defaults["widths"] = (0.2, 0.01)
    chosen = nested("reward", given, defaults)
    if variant in ("v0", "v1"):
        return NegativePart(chosen["scale"])
    if variant == "v2":
        return Band(chosen["scale"], chosen["radius"])
    target = np.asarray(chosen["target"], dtype=np.float64)
    if variant == "v3":
        return Disk(chosen["scale"], target, chosen["radius"])
    return Bump.of_widths(chosen["scale"], target, chosen["widths"])


@checked
def game(
    variant: str = "v4",
    *,
    plant: Mapping[str, ArrayLike] = {},
    cost: Mapping[str, ArrayLike] = {},
    start: Mapping[str, ArrayLike] = {},
    reward: Mapping[str, ArrayLike] = {},
    noise: ArrayLike = 0.0,
    leader_discount: float = 0.99,
    follower_discount: float = 0.95,
    horizon: int | None = 100,
) -> LQR:
    """A linear-quadratic game.

    Args:
        variant: the leader's reward, one of ``VARIANTS``.
        plant: dynamics ``A``, ``B`` and ``C``, ``[n, n]``, ``[n, m]``, ``[n, k]``.
        cost: the follower's: ``Q`` ``[n, n]``, positive semidefinite, and ``R`` ``[m, m]``, positive definite.
        start: ``mean`` ``[n]`` and ``std`` (a number or a factor ``[n, n]``) of the first state.
        reward: ``scale`` of the leader's reward, and ``radius`` of v3 (and half width of the band of v2), ``target``
            of v3 and v4, ``[n]``, and ``widths`` of the bump of v4, ``[n]``.
        noise: deviation of the process noise, a number or a factor ``[n, n]``.
        leader_discount: in [0, 1); 1 is allowed for the leader with a horizon.
        follower_discount: in [0, 1); 1 is allowed for the leader with a horizon.
        horizon: stages; None for the infinite game.

    Raises:
        UnknownIdError: no such variant.
        InvalidArgumentError: a part has no such setting, or the variant does not.
        InvalidGameError: see ``LinearGaussianGame``.
    """
    if variant not in VARIANTS:
        raise UnknownIdError("lqr variant", variant, VARIANTS)
    random_start = variant in ("v0", "v1", "v2")
    matrices = nested("plant", plant, {"A": A, "B": B, "C": C})
    costs = nested("cost", cost, {"Q": IDENTITY, "R": ONE})
    size = np.shape(matrices["A"])[0] if np.ndim(matrices["A"]) else 0
    mean = np.zeros(size) if random_start else np.eye(size)[0]
    first = nested("start", start, {"mean": mean, "std": 1.0 if random_start else 0.0})
    return LQR(
        Dynamics(matrices["A"], matrices["B"], matrices["C"], first["mean"], first["std"], noise),
        Cost(costs["Q"], costs["R"], 1.0 if variant == "v0" else 0.0),
        _reward(variant, reward),
        leader_discount=leader_discount,
        follower_discount=follower_discount,
        horizon=horizon,
        name="lqr-v0",
    )


env, raw_env, parallel_env = faces(game)
