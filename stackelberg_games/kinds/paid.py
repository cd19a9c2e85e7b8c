"""A finite game in which the leader also pays the follower a share of its own reward, in sight."""

from __future__ import annotations

import copy

from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables, TabularGame
from stackelberg_games.kinds.population import PopulationGame
from stackelberg_games.kinds.reading import frozen


def one_control_problem(game: object, who: str) -> TabularGame:
    """``game`` if its follower, paid a share of the leader's reward, faces one soft control problem for both.

    Raises:
        UnsupportedGameError: the game is not finite, the players discount differently, or what the follower or the
            leader is paid is not what the tables say.
    """
    if not isinstance(game, TabularGame):
        raise UnsupportedGameError(
            f"{who} pays the follower in games given by arrays (TabularGame), not in {type(game).__name__}; bchg plays others"
        )
    if game.leader_discount != game.follower_discount:
        raise UnsupportedGameError(
            f"{who} needs both players to discount alike, so that one control problem answers for both; {game.name} has "
            f"{game.leader_discount} and {game.follower_discount}; bchg and exact_gradient play it"
        )
    return paid_by_stage(game, who)


def paid_by_stage(game: TabularGame, who: str) -> TabularGame:
    """``game`` if all that either player gets is in its tables; raise ``UnsupportedGameError`` if not."""
    if isinstance(game, PopulationGame):
        raise UnsupportedGameError(
            f"{who} needs a follower that faces one control problem; that of {game.name} is a population, whose members "
            "move what the others pay; exact_gradient and evolution_strategies play it"
        )
    own = isinstance(game, ConfigurableGame) and (
        type(game).objective is not ConfigurableGame.objective
        or type(game).follower_tables is not ConfigurableGame.follower_tables
    )
    if own:
        raise UnsupportedGameError(
            f"{who} needs rewards that are paid stage by stage; those of {game.name} depend on the response; "
            "bchg plays it"
        )
    return game


def paid(game: TabularGame, share: float) -> TabularGame:
    """The game in which the follower gets ``rF + share * rL``; the leader's own reward stays as it is.

    Args:
        game: a finite game that ``one_control_problem`` lets pass.
        share: of the leader's reward, finite; negative to fine the follower.
    """
    share = checks.number("share", share)
    made = copy.copy(game)
    made.follower_reward = frozen("follower_reward", game.follower_reward + share * game.leader_reward, 3)

    def of(tables: Tables) -> Tables:
        return tables._replace(follower_reward=tables.follower_reward + share * tables.leader_reward)

    if isinstance(made, ConfigurableGame) and isinstance(game, ConfigurableGame) and game.configure is not None:
        configure = game.configure

        def configured(configuration: Tensor) -> Tables:
            return of(configure(configuration))

        made.configure = configured
    made._hold(of(game.tables()))
    return made
