"""Security games: a few guards on many targets, and an attacker that has watched the patrols.

| fact            | value                                                                          |
|-----------------|--------------------------------------------------------------------------------|
| Agents          | leader_0 (the defender), follower_0 (the attacker)                             |
| States          | 1                                                                              |
| Leader actions  | schedules: which ``units`` of the targets are covered today                    |
| Follower actions| the target it attacks                                                          |
| Rewards         | of the target attacked, by whether it is covered                               |
| Horizon         | 1                                                                              |
| Order           | the follower knows how often each schedule is played, not today's              |
| Optimum         | ``three_targets`` -11/13 at coverage (7, 5, 1)/13; ``five_targets`` -719/1150    |

A mixture of schedules matters by its coverage alone: the chance c_i that target i is covered, sum c_i <= ``units``.

Proof: one linear program for each target, over schedules, as in every matrix game; and one in the coverage for each
target, which is much smaller. They agree where covering a target never hurts the defender, for then it never wants
to leave a unit idle, and any coverage with a sum of ``units`` is a mixture of schedules. With three targets all three
are equally attractive at the optimum.

Source: Kiekintveld et al., "Computing optimal randomized resource allocations for massive security games", AAMAS 2009.

Version history: v0, first version.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from stackelberg_games.errors import InvalidGameError, UnknownIdError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.payoffs import one_state
from stackelberg_games.rules.nested import nested
from stackelberg_games.settings import checked

PRESETS: dict[str, tuple[int, Mapping[str, Sequence[float]]]] = {
    "three_targets": (
        1,
        {
            "leader_covered": (1, 1, 1),
            "leader_uncovered": (-3, -2, -1),
            "follower_covered": (-1, -1, -1),
            "follower_uncovered": (3, 2, 1),
        },
    ),
    "five_targets": (
        2,
        {
            "leader_covered": (5, 3, 4, 1, 2),
            "leader_uncovered": (-6, -3, -5, -2, -4),
            "follower_covered": (-3, -2, -4, -1, -2),
            "follower_uncovered": (5, 3, 6, 2, 3),
        },
    ),
}
MOST_SCHEDULES = 20_000


@checked
def game(
    preset: str = "three_targets",
    *,
    units: int | None = None,
    payoffs: Mapping[str, Sequence[float]] = {},
    follower_sees_action: bool = False,
    horizon: int = 1,
) -> TabularGame:
    """A security game.

    Args:
        preset: one of ``PRESETS``.
        units: how many targets can be covered at once; that of the preset if not given.
        payoffs: in the place of the preset's: ``leader_covered``, ``leader_uncovered``, ``follower_covered`` and
            ``follower_uncovered``, each one number a target.
        follower_sees_action: true if the attacker observes today's schedule.
        horizon: number of independent rounds.

    Raises:
        UnknownIdError: no such preset.
        InvalidArgumentError: ``payoffs`` has another entry.
        InvalidGameError: the payoffs are not numbers for the same two or more targets, or ``units`` does not fit them.
    """
    if preset not in PRESETS:
        raise UnknownIdError("security game", preset, PRESETS)
    standard, defaults = PRESETS[preset]
    chosen = nested("payoffs", payoffs, dict(defaults))
    try:
        table = np.array([chosen[name] for name in defaults], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidGameError(f"payoffs: expected the same number of targets in each of {list(defaults)}") from error
    units = standard if units is None else units
    if table.ndim != 2 or table.shape[1] < 2 or not 1 <= units < table.shape[1]:
        raise InvalidGameError(
            f"units={units!r} with payoffs of shape {table.shape}: expected 2 or more targets, and 1 or more units but "
            "fewer than targets"
        )
    schedules = list(itertools.islice(itertools.combinations(range(table.shape[1]), units), MOST_SCHEDULES + 1))
    if len(schedules) > MOST_SCHEDULES:
        raise InvalidGameError(f"units={units}: more than {MOST_SCHEDULES} schedules of {table.shape[1]} targets")
    covered = np.array([[target in schedule for target in range(table.shape[1])] for schedule in schedules])
    leader, follower = np.where(covered, table[0], table[1]), np.where(covered, table[2], table[3])
    return one_state("security_game-v0", leader, follower, horizon, follower_sees_action=follower_sees_action)


env, raw_env, parallel_env = faces(game)
