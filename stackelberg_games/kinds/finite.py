"""Finite games from arrays, with rewards and transitions that a leader may configure."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from typing import Any, Self

import gymnasium
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.commitments.tabular import PolicyRows, Sizes, TabularPolicy
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError
from stackelberg_games.kinds.conditioning import NOTHING, Condition, condition, reachable
from stackelberg_games.kinds.from_lists import MadeOfLists
from stackelberg_games.kinds.kernel import DenseKernel, Kernel, kernel
from stackelberg_games.kinds.reading import (
    Numbered,
    affordable_array,
    check_range,
    check_rows,
    flags_of,
    frozen,
    indices,
    sharing,
)
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.kinds.tables import Model, Tables
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.numerics.sampling import (
    FEW,
    SUMMED,
    OneEpisode,
    Sampler,
    Summing,
    all_finite,
    check_probabilities,
    cumulative,
    cumulative_lists,
)
from stackelberg_games.numerics.sampling import step as sample_step
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.rules.commitment import Commitment, draws, evaluating
from stackelberg_games.rules.drawing import Picture
from stackelberg_games.rules.observations import ONE_HOT, Observations, shown, shown_batch, shown_space
from stackelberg_games.rules.rules import Sampling, Step, check_discount, check_horizon

__all__ = ["Model", "Tables", "TabularGame"]


class TabularGame(MadeOfLists):
    """A finite game given by arrays, or by lists of successors where the array of transitions would be too large.

    Examples:
        >>> import numpy as np
        >>> import stackelberg_games as sg
        >>> paid, pays = (
        ...     [[[2.0, 4.0], [1.0, 3.0]]],
        ...     [[[1.0, 0.0], [0.0, 1.0]]],
        ... )  # [S, A, B], one state
        >>> game = sg.TabularGame(np.ones((1, 2, 2, 1)), paid, pays, initial=[1.0], horizon=1)
        >>> sg.exact.solve(game, temperature=0.0).value
        3.0

    Args:
        transition: ``[S, A, B, S]``, probabilities of the next state; ``from_successors``, ``from_csr`` and
            ``from_function`` take lists in its place.
        leader_reward: ``[S, A, B]``.
        follower_reward: ``[S, A, B]``.
        initial: ``[S]``, distribution of the first state.
        leader_discount: in [0, 1); 1 is allowed with a finite horizon.
        follower_discount: in [0, 1).
        horizon: stages until truncation, or None for the infinite discounted game.
        terminal: bool ``[S]``; entering such a state ends the episode, and its value is zero.
        follower_sees_action: whether the follower observes the leader's action before it moves.
        name: shown by faces and reports.

    Raises:
        InvalidGameError: a shape, probability, reward, discount or horizon is out of range.
    """

    @in_own_modes
    def __init__(
        self,
        transition: ArrayLike | SuccessorLists,
        leader_reward: ArrayLike,
        follower_reward: ArrayLike,
        initial: ArrayLike,
        leader_discount: float = 0.99,
        follower_discount: float = 0.99,
        horizon: int | None = None,
        *,
        terminal: ArrayLike | None = None,
        follower_sees_action: bool = True,
        name: str = "tabular_game",
    ) -> None:
        self.name = checks.text("name", name, error=InvalidGameError)
        self.horizon = check_horizon(horizon)
        finite = self.horizon is not None
        self.leader_discount = check_discount("leader_discount", leader_discount, one_allowed=finite)
        self.follower_discount = check_discount("follower_discount", follower_discount)
        self.follower_sees_action = checks.flag("follower_sees_action", follower_sees_action, error=InvalidGameError)
        self._read_arrays(transition, leader_reward, follower_reward, initial, terminal)
        self.state_labels: Sequence[str] = Numbered(self.states)
        self.state_space = gymnasium.spaces.Discrete(self.states)
        self.leader_action_space = gymnasium.spaces.Discrete(self.leader_actions)
        self.follower_action_space = gymnasium.spaces.Discrete(self.follower_actions)
        self.shows_numbers = self.states > ONE_HOT
        self._observation_space = shown_space(self.states)
        tables = (self._probabilities(), self.leader_reward, self.follower_reward)
        self._hold(Tables(*map(torch.tensor if self.lists is None else sharing, tables)))
        self.alive_tensor = torch.tensor(~self.terminal, dtype=torch.float64)
        self.initial_tensor = torch.tensor(self.initial_distribution)

    def _read_arrays(
        self,
        transition: ArrayLike | SuccessorLists,
        leader_reward: ArrayLike,
        follower_reward: ArrayLike,
        initial: ArrayLike,
        terminal: ArrayLike | None,
    ) -> None:
        if isinstance(transition, SuccessorLists):
            self.kernel, shape = transition, transition.shape
        else:
            affordable_array("transition", transition)
            array = frozen("transition", transition, 4)
            shape = array.shape[:3]
            if array.shape[3] != shape[0] or 0 in shape:
                raise InvalidGameError(f"transition has shape {array.shape}: expected [S, A, B, S], no empty axis")
            self.kernel = DenseKernel(array)
        states = shape[0]
        self.states, self.leader_actions, self.follower_actions = shape
        self.leader_reward = frozen("leader_reward", leader_reward, shape)
        self.follower_reward = frozen("follower_reward", follower_reward, shape)
        self.initial_distribution = frozen("initial", initial, (states,))
        self.terminal: BoolArray = flags_of("terminal", terminal, states)
        if self.lists is None:
            check_probabilities("transition", self.transition)
        check_probabilities("initial", self.initial_distribution)
        if self.initial_distribution[self.terminal].any():
            raise InvalidGameError("initial gives probability to a terminal state")

    def _hold(self, tables: Tables) -> None:
        """Make tables the game's own; what is prepared from them is prepared when it is asked for."""
        self._tables = tables
        self._sampler: Sampler | None = None
        self._own_kernel: Kernel | None = None
        self._reachable: BoolArray | None = None
        self._entered: BoolArray | None = None
        self._condition: Condition | None = None

    def drawing(self) -> Picture:
        """A graph of the states; of a single one, the table of payoffs."""
        from stackelberg_games.kinds.graph_picture import GraphPicture  # Matplotlib is slow to import
        from stackelberg_games.kinds.payoff_picture import PayoffPicture

        return PayoffPicture(self) if self.states == 1 else GraphPicture(self)

    def label(self, state: Any) -> str:
        """The state's name."""
        return self.state_labels[int(state)]

    def sampling(self, commitment: Commitment) -> Sampling:
        """The policy as a table, evaluated once."""
        return PolicyRows(cumulative(self.policy(commitment).detach().numpy()))

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """One-hot states, Box(0, 1, [S]); the number of the state where there are more than ``ONE_HOT``."""
        return self._observation_space

    @property
    def sampler(self) -> Sampler:
        """The game's own tables, prepared for compiled sampling."""
        if self._sampler is None:
            self._sampler = self._prepare(self._probabilities(), self.leader_reward, self.follower_reward)
        return self._sampler

    def _prepare(self, transition: FloatArray, leader: FloatArray, follower: FloatArray) -> Sampler:
        summing: Summing = None
        if self.lists is not None:
            first, successors = self.lists.first, self.lists.successors
            summing = True if SUMMED < len(successors) <= FEW * (len(first) - 1) else None
            chances = cumulative_lists(first, transition) if summing is None else transition
        else:
            width = int((transition > 0).sum(axis=-1).max())
            order = np.argsort(transition <= 0, axis=-1, kind="stable")[..., :width]
            first = np.arange(0, order.size + 1, width, dtype=np.int64)
            successors = np.ascontiguousarray(order, dtype=np.int64).ravel()
            chances = cumulative(np.take_along_axis(transition, order, axis=-1)).ravel()
        return Sampler(
            (self.leader_actions, self.follower_actions),
            first,
            cumulative(self.initial_distribution),
            successors,
            chances,
            leader.ravel(),
            follower.ravel(),
            self.terminal,
            summing,
        )

    def fingerprint(self) -> str:
        """Hash of the arrays and of everything else that defines the game."""
        digest = hashlib.sha256(super().fingerprint().encode())
        arrays = [self.leader_reward, self.follower_reward, self.initial_distribution, self.terminal]
        if self.lists is not None:
            arrays = [self.lists.first, self.lists.successors, self.lists.probability, *arrays]
        else:
            arrays = [self.transition, *arrays]
        if self.observations is not None:
            arrays.append(self.observations.numbers)
        for array in arrays:
            digest.update(array.data)
        return digest.hexdigest()

    def partially_observed(self, observations: ArrayLike) -> Self:
        """The game in which the leader sees an observation of the state, and decides alike wherever it sees the same.

        The follower sees the states as before, and learners have the record of what was played.

        Args:
            observations: the number of the observation in every state, ``[S]``: 0, 1, ... without gaps.

        Raises:
            InvalidGameError: they are not, or the leader of the game does not act at its stages.
        """
        if self.idle_action is not None:
            raise InvalidGameError(
                f"the leader of {self.name} only configures it: it has no actions to tie by what it observes"
            )
        other = copy.copy(self)
        other.observations, other.spec = Observations(observations, self.states), None
        return other

    def commitment(self, seed: int = 0, spread: float | None = None) -> Commitment:
        """The commitment that the game declares: the default wherever none is given; here the uniform policy.

        Args:
            seed: of parameters that are drawn; the uniform policy has none.
            spread: their deviation.
        """
        return TabularPolicy(Sizes(self.states, self.leader_actions, self.observations))

    def tables(self, configuration: Tensor | None = None) -> Tables:
        """Transition and rewards; a ``ConfigurableGame`` has others under a configuration.

        Raises:
            InvalidGameError: there is a configuration, and this game has no place for it.
        """
        if configuration is not None:
            raise InvalidGameError(f"{self.name} cannot be configured; sg.ConfigurableGame makes a game that can")
        return self._tables

    def continuing(self, transition: Tensor) -> Kernel:
        """A transition as a kernel, columns of terminal states set to zero; the game's own is prepared only once."""
        own = transition is self._tables.transition
        if own and self._own_kernel is not None:
            return self._own_kernel
        if self.lists is not None:
            found = self.lists if own else self.lists.with_probability(transition.detach().numpy())
            made: Kernel = found.ending_in(self.terminal)
        elif own:
            made = kernel(self.transition * ~self.terminal)
        else:
            made = DenseKernel(transition.detach().numpy() * ~self.terminal)
        if not own:
            return made
        self._own_kernel = made
        return self._own_kernel

    def reachable(self, transition: Tensor) -> BoolArray:
        """States that play can enter under a transition, ``[S]``; those of the game's own are found only once."""
        if self.lists is not None:
            listed = self.lists.with_probability(transition.detach().numpy())
            return listed.reached(self.initial_distribution > 0, None, self.terminal)
        if transition is not self._tables.transition:
            return reachable(transition.detach().numpy(), self.initial_distribution, self.terminal)
        if self._reachable is None:
            self._reachable = reachable(self.transition, self.initial_distribution, self.terminal)
            self._entered = None if self._reachable.all() else self._reachable
        return self._reachable

    def condition(self, model: Model) -> Condition:
        """What is left out when the game is solved; for the game's own tables it is found only once."""
        own = all(getattr(model, name) is getattr(self._tables, name) for name in Tables._fields)
        if own and self._condition is not None:
            return self._condition
        rewards = (model.leader_reward.detach().numpy(), model.follower_reward.detach().numpy())
        if self.lists is not None:  # every state stays
            found = NOTHING if self.terminal.any() else condition(rewards, None, self.terminal)
            self._condition = found if own else self._condition
            return found
        entered: BoolArray | None = self.reachable(model.transition)
        entered = self._entered if entered is self._reachable else entered
        found = condition(rewards, entered, self.terminal)
        if own:
            self._condition = found
        return found

    def model(self, commitment: Commitment) -> Model:
        """The game under a commitment in evaluation mode, differentiable in the commitment's parameters.

        Raises:
            InvalidArgumentError: the commitment was made for a game of another size, has numbers that are not finite, or
                decides otherwise when it is evaluated again.
        """
        with evaluating(commitment):
            policy, configuration = self.sound(commitment.probabilities()), commitment.configuration()
            if draws(commitment):
                with torch.no_grad():
                    again = commitment.probabilities(), commitment.configuration()
                for first, second in zip((policy, configuration), again, strict=True):
                    if first is not None and second is not None and not torch.equal(first, second):
                        raise InvalidArgumentError(
                            f"{type(commitment).__name__} decides otherwise each time it is evaluated, so nothing it is "
                            "worth can be computed: let it return the probabilities of what it draws, without drawing"
                        )
        return Model(policy, *self.tables(configuration))

    def policy(self, commitment: Commitment) -> Tensor:
        """The commitment's action probabilities, ``[S, A]``.

        Raises:
            InvalidArgumentError: the commitment was made for a game of another size, or has numbers that are not finite.
        """
        with evaluating(commitment):
            return self.sound(commitment.probabilities())

    def sound(self, probabilities: Tensor) -> Tensor:
        """Action probabilities ``[S, A]`` of a commitment, looked at; see ``policy``."""
        expected = (self.states, self.leader_actions)
        if tuple(probabilities.shape) != expected:
            raise InvalidArgumentError(
                f"the commitment's probabilities have shape {tuple(probabilities.shape)}: expected {expected}"
            )
        if not all_finite(probabilities.detach().numpy()):
            raise InvalidArgumentError("the commitment's probabilities are not all finite numbers")
        if self.observations is not None:
            self.observations.require_alike("the commitment's probabilities", probabilities.detach().numpy())
        return probabilities

    def check_response(self, response: FloatArray) -> None:
        """Raise ``InvalidArgumentError`` unless a response policy has shape ``[S, A, B]`` and rows that are distributions."""
        check_rows("the response", response, (self.states, self.leader_actions, self.follower_actions))

    def under(self, commitment: Commitment) -> Sampler:
        """Sampling tables under a commitment: the game's own unless it is configured."""
        self.tables(commitment.configuration())
        return self.sampler

    def initial(self, streams: Streams) -> IntArray:
        """First states, int64 ``[N]``; draw 0 of the environment's lane."""
        draws = streams.uniform(Lane.ENVIRONMENT, 0)[:, 0]
        return np.searchsorted(self.sampler.initial, draws, side="right").astype(np.int64)

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """Play one stage; draw ``stage + 1`` of the environment's lane.

        Raises:
            InvalidActionError: an action is not an index of the player's actions.
            InvalidArgumentError: a state does not exist, or the batch is not one state an episode.
        """
        shape = (len(streams.episodes),)
        if np.shape(states) != shape:
            raise InvalidArgumentError(f"states have shape {np.shape(states)}: expected {shape}")
        leader = indices("leader", leader_actions, self.leader_actions, shape)
        follower = indices("follower", follower_actions, self.follower_actions, shape)
        out = Step(
            np.empty(len(states), dtype=np.int64),
            np.empty(len(states)),
            np.empty(len(states)),
            np.empty(len(states), dtype=np.bool_),
        )
        draws = streams.uniform(Lane.ENVIRONMENT, stage + 1)[:, 0]
        if not sample_step(states, leader, follower, draws, self.sampler, tuple(out)):
            check_range("leader", leader, self.leader_actions)
            check_range("follower", follower, self.follower_actions)
            raise InvalidArgumentError(f"states {np.asarray(states).tolist()}: expected integers in [0, {self.states})")
        return out

    def one_by_one(self) -> OneEpisode | None:
        """The game's own tables, unless a class plays otherwise."""
        own = all(getattr(type(self), name) is getattr(TabularGame, name) for name in ("initial", "step", "observe"))
        return OneEpisode(self.sampler, self.shows_numbers) if own else None

    def observe(self, state: Any) -> NDArray[np.float32]:
        """One-hot vector of a state, or its number; see ``observation_space``."""
        return shown(state, self.states)

    def observe_batch(self, states: Any) -> NDArray[np.float32]:
        """``observe`` of every state, ``[N, S]`` or ``[N, 1]``."""
        return shown_batch(states, self.states)
