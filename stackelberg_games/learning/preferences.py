"""``preferences``: a Gymnasium environment becomes a game in which a reward is learned from a judge's labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stackelberg_games.adapters.payments import NetworkPayments, Payments, payments_of
from stackelberg_games.adapters.preferred import PreferredGame
from stackelberg_games.adapters.sources import gymnasium_source
from stackelberg_games.learning.judges import judge_of
from stackelberg_games.rules.comparisons import Judge
from stackelberg_games.settings import checked


@checked
def preferences(
    source: Any,
    reward: Payments | Mapping[str, Any] | str | None = None,
    judge: Judge | Mapping[str, Any] | str | Callable[..., float] = "bradley_terry",
    *,
    segment: int = 25,
    windows: int = 1,
    follower_discount: float = 0.99,
    horizon: int | None = None,
    temperature: float | None = None,
) -> PreferredGame:
    """Make a game of a Gymnasium environment whose agent maximises a reward that the leader chooses.

    The environment's own reward is known to the judge, who compares segments of play by it, and to nobody else.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.preferences("Pendulum-v1", segment=25, horizon=100)
        >>> game.view().judged
        25

    Args:
        source: a factory, an id of Gymnasium, a dict with ``id`` and settings, or an environment; see ``incentives``.
        reward: a form of reward, as ``incentives`` has them for payments; a network of 32 tanh units between -1 and 1 if
            not given.
        judge: who compares; see ``preference_grid-v0``.
        segment: stages of a segment.
        windows: segments drawn from each episode, so that two episodes make as many pairs: labels cost fewer stages of play,
            and tell more alike.
        follower_discount: in [0, 1).
        horizon: stages after which episodes are truncated; the environment's own limit if not given.
        temperature: of whoever plays the agent, which leaders are told where it declares none itself.

    Raises:
        InvalidArgumentError: an argument is none of its kind or out of range.
        InvalidGameError: the environment cannot be played, pays the same at every step, or ends before a segment does.
        UnsupportedGameError: a space is of a kind that cannot be played.
    """
    form = NetworkPayments(low=-1.0, high=1.0) if reward is None else payments_of(reward)
    settings = {"follower_discount": follower_discount, "horizon": horizon, "temperature": temperature}
    game = PreferredGame(gymnasium_source(source), form, judge_of(judge), segment, windows, **settings)
    game.spec, game.lasting = None, False
    return game
