"""PettingZoo environments as games: any two sides of an AEC or Parallel environment that nobody wrote for this package."""

from __future__ import annotations

import hashlib
import inspect
import json
import warnings
from dataclasses import replace
from typing import Any

import gymnasium
import joblib
import numpy as np
import pettingzoo
from numpy.typing import NDArray

from stackelberg_games import checks
from stackelberg_games.adapters.episodes import Replying, Responder, play_episodes
from stackelberg_games.adapters.probe import examine
from stackelberg_games.adapters.renamed import Renamed
from stackelberg_games.adapters.response import ForeignResponseEnv
from stackelberg_games.adapters.seated import Seated
from stackelberg_games.adapters.sides import Sides
from stackelberg_games.adapters.sources import Source, pettingzoo_source, plain, version_of
from stackelberg_games.adapters.table import Table
from stackelberg_games.adapters.turns import ParallelTurns, Turns, turns_of
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Ledger
from stackelberg_games.rules.rules import Step, check_discount, check_horizon, require_game
from stackelberg_games.rules.scene import LEADER
from stackelberg_games.rules.trajectories import Trajectories, concatenate
from stackelberg_games.rules.view import LeaderView

ADAPT = "stackelberg_games:adapt"
"""The factory that a game is made again with, as ``module:attribute``."""


class AECGame(Game):
    """A PettingZoo environment as a game; ``sg.adapt`` makes it.

    The leader's observation is taken for the state, with that of the agents that ``sides.shared`` names; leaders
    of finite games need it to be ``Discrete``. A stage lasts from one move of the leader to its next (see
    ``stages``). Only followers that learn by interaction can face it. The environment is played a little when the
    game is made, and what cannot be played is refused then.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.adapt("classic/rps-v2", leader="player_0", follower="player_1")
        >>> isinstance(game, sg.AECGame), game.leader_action_space, game.follower_sees_action
        (True, Discrete(3), False)

    Args:
        factory: makes the environment; or anything else that ``sources.pettingzoo_source`` takes.
        sides: who is who, and who sees what.
        leader_discount: in [0, 1), for every stage.
        follower_discount: likewise.
        horizon: stages after which episodes are truncated; None leaves it to the environment and
            to ``stages`` of ``rollout`` and ``train``.
        temperature: of whoever plays the follower, as leaders are told where it declares none itself.
        workers: processes that share the episodes of a batch.

    Attributes:
        facts: who is who and who sees what, in words.

    Raises:
        InvalidArgumentError: the source makes no environment.
        InvalidGameError: an agent has no place, the environment cannot be played, or a number is out of range.
        UnsupportedGameError: a space is of a kind that cannot be played.
    """

    def __init__(
        self,
        factory: Any,
        sides: Sides | None = None,
        *,
        leader_discount: float = 0.99,
        follower_discount: float = 0.99,
        horizon: int | None = None,
        temperature: float | None = None,
        workers: int = 1,
    ) -> None:
        self.source, self.sides, self.workers = (
            pettingzoo_source(factory),
            sides or Sides(),
            checks.integer("workers", workers, 1),
        )
        env = self.source.make()
        if not isinstance(env, pettingzoo.AECEnv | pettingzoo.ParallelEnv):
            raise InvalidArgumentError(
                f"{checks.shown(factory)} makes {type(env).__name__}: expected an AEC or Parallel environment of PettingZoo; sg.incentives "
                "and sg.design make games of Gymnasium environments"
            )
        self.name = str(env.metadata.get("name", env))
        self.sides.check(env.possible_agents, self.name)
        self._turns = turns_of(env, (self.sides.leader, *self.sides.followers))
        self.found = examine(env, self._turns, self.sides, self.name)
        self.follower_sees_action, tells = self._sight()
        self.table = Table(env, self.sides, tells, self.found.masked, self.found.width)
        self.state_space = self.table.state_space
        self.leader_action_space = self.table.leader.moves.space
        self.follower_action_space = self.table.move_space
        self.follower_masked, self.shown_space = self.table.masked, self.table.shown_space
        self.leader_discount = check_discount("leader_discount", leader_discount, one_allowed=horizon is not None)
        self.follower_discount = check_discount("follower_discount", follower_discount)
        self.horizon = check_horizon(horizon)
        self.follower_temperature = check_temperature(temperature)
        self.version = version_of(env)
        self.spec = self._spec()
        self.lasting = self.spec is not None

    def _sight(self) -> tuple[bool, bool]:
        """Whether the follower sees the leader's move, and whether the adapter has to tell it."""
        shown, wanted = self.found.sees, self.sides.follower_sees_action
        if wanted is None and not self.found.repeatable and not isinstance(self._turns, ParallelTurns):
            raise InvalidGameError(
                f"{self.name}: reset(seed) does not repeat an episode, so that it cannot be found out whether the follower sees "
                "the leader's move; say follower_sees_action=True or False, or make the environment follow its seed"
            )
        if wanted is None and shown is False:
            warnings.warn(
                f"{self.name}: the follower does not see the leader's move of a stage before its own; it is adapted as it is. "
                "follower_sees_action=False says that this is meant, True lets the adapter show it the move, which "
                "makes another game",
                stacklevel=4,
            )
        if wanted is False and shown:
            raise InvalidGameError(
                f"follower_sees_action=False: in {self.name} the follower's observation shows the leader's move; wrap the "
                "environment to hide it"
            )
        sees = shown is not False if wanted is None else wanted
        return sees, wanted is True and shown is False

    def _spec(self) -> tuple[str, dict[str, Any]] | None:
        """How another process makes the game; None where it cannot."""
        sides, description = self.sides, self.source.description
        if description is None or not plain(sides.others):
            return None
        settings: dict[str, Any] = {
            "source": description,
            "leader": sides.leader,
            "follower": sides.followers[0] if len(sides.followers) == 1 else list(sides.followers),
            "others": dict(sides.others) or None,
            "shared": list(sides.shared) or None,
            "follower_sees_action": sides.follower_sees_action,
            "leader_discount": self.leader_discount,
            "follower_discount": self.follower_discount,
            "horizon": self.horizon,
            "temperature": self.follower_temperature,
        }
        return ADAPT, {name: value for name, value in settings.items() if value is not None}

    @property
    def facts(self) -> dict[str, str]:
        """Who is who and who sees what, in words; a part of the fingerprint."""
        sides, found = self.sides, self.found
        parallel = isinstance(self._turns, ParallelTurns)
        sees = "sees the leader's move of the stage" if self.follower_sees_action else "does not see the leader's move"
        if self.table.tells:
            sees += ", because the adapter shows it; in the environment itself it does not"
        elif found.sees is None and not parallel:
            sees += " (nothing to compare)"
        masks = [seat.agent for seat in (self.table.leader, *self.table.followers.values()) if seat.masked]
        leader_sees = ["its own observation", *(f"that of {agent}" for agent in sides.shared)]
        moves = "move" if found.width == 1 else f"{found.width} moves"
        return {
            "environment": f"{self.name}, {'Parallel' if parallel else 'AEC'}",
            "leader": sides.leader,
            "follower": ", ".join(sides.followers),
            "others": ", ".join(f"{agent}: {policy}" for agent, policy in sides.others.items()) or "none",
            "follower sees": sees,
            "leader sees": f"{', '.join(leader_sees)}; the last {moves} of each follower in a stage; rewards as its class grants",
            "masks": ", ".join(masks) or "none",
            "stage": "from one move of the leader to its next; rewards within are added up, discounts count stages",
        }

    def __str__(self) -> str:
        """The facts, a line each."""
        return "\n".join(f"{name:<15}{text}" for name, text in self.facts.items())

    def initial(self, streams: Streams) -> Any:
        """Not to be had: the environment is played as a whole."""
        raise UnsupportedGameError(f"{self.name} can only be played through its environment")

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """Not to be had: the environment is played as a whole."""
        raise UnsupportedGameError(f"{self.name} can only be played through its environment")

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """The state as a flat vector."""
        flat = gymnasium.spaces.flatten_space(self.state_space)
        assert isinstance(flat, gymnasium.spaces.Box)
        return flat

    def observe(self, state: Any) -> NDArray[np.float32]:
        """The state, flattened."""
        return np.asarray(gymnasium.spaces.flatten(self.state_space, state), dtype=np.float32)

    def view(self, temperature: float | None = None, ledger: Ledger | None = None) -> LeaderView:
        """What a leader is told; of the follower's actions, what it observes of them in a stage."""
        return replace(super().view(temperature, ledger), follower_action_space=self.table.recorded_space)

    def fingerprint(self) -> str:
        """Hash of what the game is made from, the version of the environment's package, and what is seen of it."""
        known = [self.spec, self.version, self.facts, repr(self.view())]
        return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()

    def best_response_env(self, commitment: Commitment, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """What the follower's side faces in the environment; it is not drawn."""
        self.check_commitment(commitment)
        return ForeignResponseEnv(self.table, self.new_turns(), commitment, self.horizon, self.name)

    def new_turns(self) -> Turns:
        """The turns of a new environment."""
        return turns_of(self.source.make(), (self.sides.leader, *self.sides.followers))

    def simulate(self, commitment: Commitment, follower_policy: Any, streams: Streams, stages: int) -> Trajectories:
        """Play episodes in the environment, shared among the workers.

        Raises:
            UnsupportedGameError: the response does not answer observations, or knows no masks where there are some.
        """
        self.check_response_policy(follower_policy)
        self.check_commitment(commitment)
        numbers = [int(number) for number in streams.episodes]
        parts = min(self.workers, len(numbers))
        if parts <= 1:
            responder = Replying(self.table, follower_policy)
            return self.play(commitment, responder, streams, stages)
        shares = [list(share) for share in np.array_split(numbers, parts)]
        play = joblib.delayed(_play_share)
        order = (self.sides.leader, *self.sides.followers)
        found = joblib.Parallel(n_jobs=parts)(
            play(self.source, self.table, order, (commitment, follower_policy), streams.seed, share, stages)
            for share in shares
        )
        return concatenate([episode for share in found for episode in share])

    def check_response_policy(self, policy: Any) -> None:
        """Raise ``UnsupportedGameError`` unless a response answers what its side observes."""
        if not hasattr(policy, "reply"):
            raise UnsupportedGameError(f"{type(policy).__name__} does not answer a follower's observations")
        if self.follower_masked and "masks" not in inspect.signature(policy.reply).parameters:
            raise UnsupportedGameError(
                f"{type(policy).__name__} takes no masks, and {self.name} forbids actions; its method reply needs a "
                "parameter masks"
            )

    def check_commitment(self, commitment: Commitment) -> None:
        """Raise ``UnsupportedGameError`` where a commitment configures what is not configurable, or the other way round."""
        configuration = commitment.configuration()
        if configuration is not None and self.configuration_space is None:
            self.configured(configuration)
        if configuration is None and self.configuration_space is not None:
            raise UnsupportedGameError(
                f"{type(commitment).__name__} configures nothing; {self.name} needs a configuration, as game.commitment() is"
            )

    def play(self, commitment: Commitment, responder: Responder, streams: Streams, stages: int) -> Trajectories:
        """Play episodes one after the other with whoever plays the follower's side."""
        self.check_commitment(commitment)
        numbers = [int(number) for number in streams.episodes]
        return concatenate(play_episodes(self.table, self._turns, commitment, responder, streams.seed, numbers, stages))

    def env(self, render_mode: str | None = None) -> Any:
        """The environment with the agents leader_0 and follower_0 (and more), the further ones played.

        It is an AEC environment, and its own render mode stands.
        """
        return self.behind()

    raw_env = env

    def behind(self, **settings: Any) -> Any:
        """The environment itself, under the names leader_0 and follower_0.

        Args:
            settings: of its factory, beside those that the game was adapted with.
        """
        env, sides = self.source.make(**settings), self.sides
        names = {sides.leader: LEADER, **{agent: f"follower_{k}" for k, agent in enumerate(sides.followers)}}
        if isinstance(env, pettingzoo.ParallelEnv) or set(names) != set(env.possible_agents):
            return Seated(self.table, turns_of(env, tuple(names)), self.name)
        return env if all(old == new for old, new in names.items()) else Renamed(env, names)


def check_temperature(temperature: float | None) -> float | None:
    """Return a temperature > 0 or None; raise ``InvalidArgumentError`` otherwise."""
    number = isinstance(temperature, int | float | np.number) and not isinstance(temperature, bool)
    if temperature is None or (number and 0 < temperature < float("inf")):
        return None if temperature is None else float(temperature)
    raise InvalidArgumentError(f"temperature={temperature!r}: expected None or a number > 0")


def _play_share(
    source: Source,
    table: Table,
    order: tuple[str, ...],
    players: tuple[Commitment, Any],
    seed: int,
    numbers: list[int],
    stages: int,
) -> list[Trajectories]:
    """One worker's share; a function of its own so that it can be sent there."""
    turns = turns_of(source.make(), order)
    try:
        return play_episodes(table, turns, players[0], Replying(table, players[1]), seed, numbers, stages)
    finally:
        turns.close()


def as_game(game: Any) -> Game:
    """A game as it is, or a plain environment with the agents leader_0 and follower_0 as a game with default settings.

    Raises:
        InvalidArgumentError: it is neither.
    """
    foreign = isinstance(game, pettingzoo.AECEnv | pettingzoo.ParallelEnv)
    return AECGame(game) if foreign else require_game(game)
