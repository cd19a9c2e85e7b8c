"""``design``: a Gymnasium environment becomes a game in which the leader sets what it is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackelberg_games import checks
from stackelberg_games.adapters.aec import AECGame
from stackelberg_games.adapters.designed import Design, Designing, Into
from stackelberg_games.adapters.incentives import objective_of
from stackelberg_games.adapters.sides import Sides
from stackelberg_games.adapters.single import Worth
from stackelberg_games.adapters.sources import Source, describe, gymnasium_source, imported, version_of
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.rules.rules import check_horizon
from stackelberg_games.settings import checked

DESIGN = "stackelberg_games:design"
"""The factory that a game is made again with."""


@checked
def design(
    source: Any,
    space: Mapping[str, Any],
    objective: Worth | str,
    *,
    into: Into = "constructor",
    follower_sees_design: bool = True,
    follower_discount: float = 0.99,
    horizon: int | None = None,
    temperature: float | None = None,
) -> DesignedGame:
    """Make a game of a Gymnasium environment: the follower is its agent, and the leader sets what it is like.

    The leader moves once, at the beginning of an episode: the whole episode is one stage of the game, and what it is worth
    to the leader is the sum of its objective over the steps. Nothing of a design need be differentiable: the commitment
    is a distribution over designs, and gradient leaders learn by its score. Where the follower sees the design
    ``policy_gradient`` follows the whole gradient, as the response to a design does not depend on the distribution.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.design(
        ...     "Pendulum-v1",
        ...     {"m": (0.5, 1.5), "l": (0.5, 1.5)},
        ...     "reward",
        ...     into="attributes",
        ...     horizon=30,
        ... )
        >>> game.facts["design"]
        'm from 0.5 to 1.5; l from 0.5 to 1.5'

    Args:
        source: a factory; an id of Gymnasium or ``"module:attribute"``, alone or as ``id`` in a dict with the factory's
            settings; or an environment, which is copied and only trains.
        space: what is set: bounds ``(low, high)`` by name, or lists of choices by name.
        objective: what a step is worth to the leader, see ``incentives``.
        into: where values go: ``"constructor"``: arguments of the factory; ``"attributes"``: of the unwrapped environment,
            before each reset, whatever its constructor worked out from them; or a function of the unwrapped environment
            and a dict of the values, or its ``"module:attribute"``.
        follower_sees_design: whether the values are added to what the follower observes.
        follower_discount: of a step of the environment, in [0, 1).
        horizon: steps after which episodes are truncated; the environment's own limit if not given.
        temperature: of whoever plays the agent, which leaders are told where it declares none itself.

    Raises:
        InvalidArgumentError: an argument is none of its kind, or there is no such argument or attribute to set.
        InvalidGameError: the environment cannot be played, or a number is out of range.
        UnsupportedGameError: a space is of a kind that cannot be played.
    """
    made, what, worth = gymnasium_source(source), Design.of(space), objective_of(objective)
    entering = imported(into, "into") if isinstance(into, str) and ":" in into else into
    if not isinstance(follower_sees_design, bool):
        raise InvalidArgumentError(f"follower_sees_design={checks.shown(follower_sees_design)}: expected True or False")
    maker = _Maker(made, worth, what, entering, check_horizon(horizon))
    game = DesignedGame(maker, follower_sees_design, follower_discount=follower_discount, temperature=temperature)
    facts = {
        "source": made.description,
        "space": what.plain,
        "objective": objective if isinstance(objective, str) else describe(objective),
        "into": into if isinstance(into, str) else describe(into),
    }
    numbers = {"horizon": horizon, "temperature": temperature}
    if all(fact is not None for fact in facts.values()):
        known = {name: value for name, value in numbers.items() if value is not None}
        settings = {"follower_sees_design": follower_sees_design, "follower_discount": follower_discount}
        game.spec = DESIGN, {**facts, **settings, **known}
    game.lasting = game.spec is not None
    return game


@dataclass(frozen=True)
class _Maker:
    """Makes the environment with somebody who designs it beside its agent."""

    source: Source
    objective: Worth
    design: Design
    into: Into
    limit: int | None

    def __call__(self) -> Designing:
        return Designing(self.source, self.objective, self.design, self.into, self.limit)


class DesignedGame(AECGame):
    """A Gymnasium environment that the leader designs, played as it is; see ``design``.

    Args:
        maker: makes the environment.
        seen: whether the follower sees the design.
        settings: what else ``AECGame`` takes.
    """

    def __init__(self, maker: _Maker, seen: bool, **settings: Any) -> None:
        self._maker, self._seen = maker, seen
        super().__init__(Source(maker), Sides(), leader_discount=0.0, horizon=1, **settings)
        self.version = version_of(self._turns.env.env)

    def _sight(self) -> tuple[bool, bool]:
        return self._seen, self._seen

    @property
    def facts(self) -> dict[str, str]:
        """What ``AECGame`` says, and what is designed."""
        sees = "what the environment shows its agent"
        return {
            **super().facts,
            "follower sees": f"{sees}, and the design" if self._seen else sees,
            "stage": "an episode; discounts of the follower count the steps in it",
            "design": str(self._maker.design),
        }
