"""Finite games of lists of successors, however those are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import gymnasium
import numpy as np
from numpy.typing import ArrayLike

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.kinds.game import Game
from stackelberg_games.kinds.gymnasium_tables import read_tables
from stackelberg_games.kinds.kernel import Kernel
from stackelberg_games.kinds.lists import read_csr, read_function, read_successors
from stackelberg_games.kinds.reading import frozen, plain, with_leader
from stackelberg_games.kinds.successors import SuccessorLists


class MadeOfLists(Game):
    """A finite game that can be made without an array of all transitions.

    Attributes:
        kernel: what follows what; columns of terminal states included.
        states, leader_actions, follower_actions: S, A and B.
    """

    kernel: Kernel
    states: int
    leader_actions: int
    follower_actions: int

    @property
    def lists(self) -> SuccessorLists | None:
        """The successors, in a game that was given by lists."""
        return self.kernel if isinstance(self.kernel, SuccessorLists) else None

    @property
    def transition(self) -> FloatArray:
        """Probabilities of the next state, ``[S, A, B, S]``.

        Raises:
            InvalidArgumentError: the game was given by lists, and the array would be large.
        """
        return self.kernel.dense

    def _probabilities(self) -> FloatArray:
        """What ``Tables.transition`` holds."""
        return self.kernel.dense if self.lists is None else self.lists.probability

    def row(self, state: int, leader_action: int, follower_action: int) -> tuple[IntArray, FloatArray]:
        """States that can follow (s, a, b), ascending, and their probabilities.

        Raises:
            InvalidArgumentError: an index is out of range.
        """
        shape = (self.states, self.leader_actions, self.follower_actions)
        names, given = ("state", "leader_action", "follower_action"), (state, leader_action, follower_action)
        s, a, b = (checks.integer(n, i, 0, size - 1) for n, i, size in zip(names, given, shape, strict=True))
        if self.lists is not None:
            return self.lists.listed((s, a, b))
        found = self.kernel.row((s, a, b))
        return np.flatnonzero(found), found[found > 0]

    @classmethod
    def from_successors(
        cls,
        successors: ArrayLike,
        probability: ArrayLike,
        leader_reward: ArrayLike,
        follower_reward: ArrayLike,
        initial: ArrayLike,
        *args: Any,
        **settings: Any,
    ) -> Self:
        """The game whose cells list the states that can follow; it takes memory for those alone.

        Args:
            successors: integers ``[S, A, B, K]``, or ``[S, B, K]`` for a leader with one action.
            probability: of them, likewise; entries of probability zero are padding, repeated successors are added.
            leader_reward, follower_reward: ``[S, A, B]``, or ``[S, B]``.
            initial: ``[S]``.
            args, settings: what else the class takes.

        Raises:
            InvalidGameError: a shape, a state or a probability is out of range, or the game would not fit into memory.
        """
        lists = read_successors(with_leader("successors", successors, 3), with_leader("probability", probability, 3))
        rewards = with_leader("leader_reward", leader_reward, 2), with_leader("follower_reward", follower_reward, 2)
        made: Callable[..., Self] = cls
        return made(lists, *rewards, initial, *args, **settings)

    @classmethod
    def from_csr(
        cls,
        transition: Any,
        leader_reward: ArrayLike,
        follower_reward: ArrayLike,
        initial: ArrayLike,
        *args: Any,
        **settings: Any,
    ) -> Self:
        """The game of a SciPy sparse matrix.

        Args:
            transition: ``[S * A * B, S]``; row (s * A + a) * B + b holds what follows (s, a, b).
            leader_reward, follower_reward: ``[S, A, B]``.
            initial: ``[S]``.
            args, settings: what else the class takes.

        Raises:
            InvalidGameError: see ``from_successors``.
        """
        made: Callable[..., Self] = cls
        lists = read_csr(transition, plain("leader_reward", leader_reward).shape)
        return made(lists, leader_reward, follower_reward, initial, *args, **settings)

    @classmethod
    def from_function(
        cls,
        step: Callable[[Any, int, int], Any],
        shape: tuple[int, int, int],
        initial: ArrayLike,
        *args: Any,
        vectorised: bool = False,
        **settings: Any,
    ) -> Self:
        """The game of a function that says what follows (s, a, b).

        Args:
            step: from s, a and b to a list of (probability, next state, leader's reward, follower's reward); a fifth
                entry may say whether the episode ends there.
            shape: numbers of states, leader actions and follower actions.
            initial: ``[S]``.
            args, settings: what else the class takes.
            vectorised: whether ``step`` takes all states at once, int ``[S]``, with one a and one b, and returns
                (successors ``[S, K]``, probability ``[S, K]``, leader's rewards ``[S]``, follower's rewards ``[S]``).

        Raises:
            InvalidGameError: an outcome is no outcome, or a state is entered both with the terminal flag and without it;
                see also ``from_successors``.
        """
        read = read_function(step, shape, vectorised=vectorised)
        if read.terminal is not None:
            given = settings.get("terminal")
            if given is not None and not np.array_equal(given, read.terminal):
                raise InvalidGameError("terminal contradicts the flags that step returns: give one of the two")
            settings["terminal"] = read.terminal
        made: Callable[..., Self] = cls
        return made(read.lists, read.leader_reward, read.follower_reward, initial, *args, **settings)

    @classmethod
    def from_gymnasium(
        cls,
        env: gymnasium.Env[Any, Any] | str,
        leader_reward: ArrayLike | None = None,
        *,
        horizon: int | None = None,
        **settings: Any,
    ) -> Self:
        """The game of a Gymnasium environment that lists its transitions in a dictionary ``P``.

        Its agent is the follower. The leader has a single action: it watches, and may be paid; ``sg.incentives`` lets
        it pay the follower.

        Args:
            env: an environment such as FrozenLake, CliffWalking or Taxi, or its id.
            leader_reward: ``[S, B]``; that of the agent if not given.
            horizon: of play; the environment's own time limit if not given.
            settings: what else the class takes.

        Raises:
            InvalidArgumentError, UnsupportedGameError: see ``gymnasium_tables.read_tables``.
            InvalidGameError: see ``TabularGame``.
        """
        read = read_tables(env)
        leader = frozen("leader_reward", read.reward if leader_reward is None else leader_reward, read.reward.shape)
        made: Callable[..., Self] = cls
        return made(
            read.lists,
            leader[:, None],
            read.reward[:, None],
            read.initial,
            horizon=read.horizon if horizon is None else horizon,
            terminal=read.terminal,
            **{"name": read.name, **settings},
        )
