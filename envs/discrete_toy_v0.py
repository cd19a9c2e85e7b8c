"""Three-state toys in which a leader steers which cycle the follower prefers.

| fact            | value                                                              |
|-----------------|--------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                               |
| States          | S (start), A, B                                                    |
| Leader actions  | 0, 1; only one state's choice matters (S, or A in 2_2, 3_2 and 4)  |
| Follower actions| s, a, b                                                            |
| Discounts       | 0.99, 0.99                                                         |
| Horizon         | 150 (100 for 1_1a and 1_1b)                                        |
| Order           | the follower sees the leader's action                              |
| Optimum         | variant 4, tau = 0.05: p = f(1 given A) = 0.17, value 27.32 (R=1); p = 0.50, 31.17 (R=2) |

A triple (state, leader, follower) that a variant does not list stays in place and pays nothing.
Source: the toy games of BC-HG (arXiv 2603.14867).

Version history: v0, first version.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import UnknownIdError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.settings import checked

STATES, LEADER, FOLLOWER = "SAB", "01", "sab"
INDIFFERENT = 2.3858910707072356  # as published; at discount 0.99 both cycles are equal for f(1 given S) = 0.4655


class Variant(NamedTuple):
    """``moves``, ``follower`` and ``leader`` list triples as ``S*a>A`` or ``S*a=1``; * is any."""

    moves: str
    follower: str
    leader: str
    horizon: int = 150
    follower_default: float = 0.0


_CROSS = "S0a>A S1a>B S0b>B S1b>A A*s>S B*s>S"
_CROSS_AB = _CROSS + " A*b>B"
_RING = "S*a>A A*s>S A*b>B B*s>S"
_RING_SB = _RING + " S*b>B"
_DETOUR = "S*b=2 A*s=3 A*b=8 B*s=-3"
_COSTLY = "S*b=-3 A*s=2 A*b=2 B*s=0"

VARIANTS: dict[str, Variant] = {
    "1_1a": Variant(_CROSS, "A*s=1 B*s=-1", "S*a=-1 S*b=1", 100),
    "1_1b": Variant(_CROSS, "A*s=1 B*s=-1", "S*b=1", 100),
    "1_2a": Variant(_CROSS_AB, _DETOUR, "A*s=1 A*b=-1"),
    "1_2b": Variant(_CROSS_AB, _DETOUR, "A*s=1"),
    "1_2c": Variant(_RING, "S1a=2 A*s=3 B*s=5", "A*s=1 A*b=-1"),
    "1_2d": Variant(_RING, "S1a=2 A*s=3 A*b=2 B*s=3", "A*s=1 A*b=-1"),
    "1_2e": Variant(_RING_SB, "S1a=2 A*s=3 A*b=8 B*s=-3", "A*s=1 A*b=-1"),
    "1_2f": Variant(_RING_SB, f"S1a={INDIFFERENT} A*s=3 A*b=8 B*s=-3", "A*s=1 A*b=-1"),
    "1_2g": Variant(_RING_SB, f"S1a={INDIFFERENT} A*s=3 A*b=8 B*s=-3", "A*s=2 A*b=1"),
    "2_1": Variant(_CROSS_AB, "A*s=1 B*s=-1 A*b=4", "S*a=-1 S*b=1"),
    "2_2": Variant("S*a>A A0s>S A1s>B A0b>B A1b>S B*s>S", "S*a=-1 B*s=4", "A*s=1"),
    "3_1a": Variant(_CROSS_AB, _COSTLY, "A*b=1 A*s=-1", follower_default=-1.0),
    "3_1b": Variant(_CROSS_AB, _COSTLY, "A*b=1", follower_default=-1.0),
    "3_2": Variant("S*a>A A*s>S A0b>B B*s>S", "S*a=1 B*s=29", "A*s=1"),
    "4": Variant("S*a>A S*b>B A0s>S A0b>B A1*>S B*s>S", "S*a=1 S*b=1 A0b={R} A1*=-1", "S*a=1"),
}


@checked
def game(
    variant: str = "4",
    R: float = 1.0,
    *,
    leader_discount: float = 0.99,
    follower_discount: float = 0.99,
    horizon: int | Literal["own"] | None = "own",
    follower_sees_action: bool = True,
) -> TabularGame:
    """A toy game.

    Args:
        variant: a key of ``VARIANTS``.
        R: the follower's reward for (A, 0, b) in variant 4.
        leader_discount: in [0, 1).
        follower_discount: in [0, 1).
        horizon: stages; None for the infinite game, ``"own"`` for the variant's own.
        follower_sees_action: whether the follower observes the leader's action.

    Raises:
        UnknownIdError: no such variant.
    """
    if variant not in VARIANTS:
        raise UnknownIdError("discrete toy variant", variant, VARIANTS)
    chosen = VARIANTS[variant]
    transition = np.zeros((3, 2, 3, 3))
    transition[np.arange(3), :, :, np.arange(3)] = 1.0
    for item in chosen.moves.split():
        triple, target = item.split(">")
        cells = _cells(triple)
        transition[cells] = np.eye(3)[STATES.index(target)]
    toy = TabularGame(
        transition,
        _rewards(chosen.leader, 0.0),
        _rewards(chosen.follower.format(R=R), chosen.follower_default),
        [1.0, 0.0, 0.0],
        leader_discount,
        follower_discount,
        chosen.horizon if horizon == "own" else horizon,
        follower_sees_action=follower_sees_action,
        name="discrete_toy-v0",
    )
    toy.state_labels = list(STATES)
    return toy


def _cells(triple: str) -> tuple[int | slice, ...]:
    """Index of ``S*a`` into an array ``[S, A, B]``."""
    names = (STATES, LEADER, FOLLOWER)
    return tuple(slice(None) if c == "*" else name.index(c) for c, name in zip(triple, names, strict=True))


def _rewards(text: str, default: float) -> FloatArray:
    rewards = np.full((3, 2, 3), default)
    for item in text.split():
        triple, value = item.split("=")
        rewards[_cells(triple)] = float(value)
    return rewards


env, raw_env, parallel_env = faces(game)
