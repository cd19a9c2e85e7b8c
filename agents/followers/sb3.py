"""Stable-Baselines3 as the follower: PPO, A2C, DQN, SAC or MaskablePPO on the decision process it faces.

Raffin, Hill, Gleave, Kanervisto, Ernestus and Dormann, JMLR 22 (2021). The learner sees a plain
Gymnasium environment (``best_response_env``) and nothing of the leader but its actions.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, MissingExtraError, UnsupportedGameError
from stackelberg_games.faces.shown import shown
from stackelberg_games.faces.vector import ResponseVectorEnv
from stackelberg_games.kinds.game import Game, best_response_env
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.numerics.containing import contained
from stackelberg_games.numerics.randomness import Lane, Streams, generator
from stackelberg_games.rules.commitment import Commitment

ALGORITHMS = ("PPO", "A2C", "DQN", "SAC", "MaskablePPO")


@dataclass(frozen=True)
class SB3Response:
    """The policy of a trained model, drawn from the follower's streams.

    PPO and A2C are sampled (Gaussian actions are clipped to the Box, as the library does), SAC is
    sampled, DQN is greedy or drawn by its softmax.

    Args:
        model: a Stable-Baselines3 model.
        game: whose states and leader actions it is asked about.
        configuration: of the commitment it was trained on, if that has one.
        temperature: of DQN's softmax; greedy without one.
    """

    model: Any
    game: Game
    configuration: FloatArray | None = None
    temperature: float | None = None

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> Any:
        """Actions for states ``[N, ...]`` and the leader actions it observes."""
        observations = shown(self.game, states, leader_actions, self.configuration)
        return self.reply(observations, streams, stage)

    def reply(self, observations: Any, streams: Streams, stage: int, masks: Any = None) -> Any:
        """Actions for observations as ``best_response_env`` shows them, and masks ``[N, n]`` where there are some."""
        policy = self.model.policy
        with torch.no_grad():
            inputs, _ = policy.obs_to_tensor(np.asarray(observations))
            name = type(self.model).__name__
            if name == "DQN":
                values = policy.q_net(inputs)
                if self.temperature is None:
                    return values.argmax(dim=1).numpy()
                rows = np.cumsum(torch.softmax(values.double() / self.temperature, dim=1).numpy(), axis=1)[:, :-1]
                return (streams.uniform(Lane.FOLLOWER, stage) >= rows).sum(axis=1).astype(np.int64)
            if name == "SAC":
                mean, log_std, _ = policy.actor.get_action_dist_params(inputs)
                drawn = torch.tanh(mean + log_std.exp() * self._normal(mean, streams, stage))
                return policy.unscale_action(drawn.numpy()).astype(self.game.follower_action_space.dtype)
            told = {} if masks is None else {"action_masks": masks}
            law = policy.get_distribution(inputs, **told).distribution
            if isinstance(law, torch.distributions.Categorical):
                rows = np.cumsum(law.probs.numpy().astype(np.float64), axis=1)[:, :-1]
                return (streams.uniform(Lane.FOLLOWER, stage) >= rows).sum(axis=1).astype(np.int64)
            drawn = law.mean + law.stddev * self._normal(law.mean, streams, stage)
            inside = np.clip(drawn.numpy(), self.model.action_space.low, self.model.action_space.high)
            return inside.astype(self.game.follower_action_space.dtype)

    @staticmethod
    def _normal(like: Any, streams: Streams, stage: int) -> Any:
        return torch.from_numpy(streams.normal(Lane.FOLLOWER, stage, like.shape[1])).to(like.dtype)


@dataclass
class StableBaselines3(Follower):
    """Trains a model of Stable-Baselines3 for every commitment; needs the extra ``[sb3]``.

    Training draws on random numbers derived from the match's seed and the number of the response,
    and uses one thread. A run resumes to the same numbers: networks, counters and what the replay
    buffers of DQN and SAC hold are stored with it.

    Args:
        algorithm: ``"PPO"``, ``"A2C"``, ``"DQN"`` (finite actions), ``"SAC"`` (bounded Box actions), or ``"MaskablePPO"``
            of sb3-contrib, where actions are forbidden at times.
        budget: transitions of training for each response, >= 1; the library rounds up to whole rollouts.
        start: ``"warm"`` goes on from the last networks, ``"fresh"`` starts anew for every commitment.
        temperature: what leaders are told; None tells them nothing. It is the entropy coefficient
            of PPO, A2C and SAC, where the options do not set another. Only SAC maximises the
            entropy-regularised return that the notion is defined by; PPO and A2C warn.
        options: further keyword arguments of the model.
        copies: of the environment that are played side by side, >= 1; several cost far less time a
            transition, and each plays its share of the budget.
        softmax: DQN, which learns the values of greedy play, answers by the softmax of its values over the temperature in
            the place of the best reply.
        reach: PPO, A2C and SAC act in a Box with bounds; where the game sets none, as linear-quadratic games do, or not
            on both sides, each number of an action lies between -reach and reach, and within what bounds there are.
    """

    algorithm: Literal["PPO", "A2C", "DQN", "SAC", "MaskablePPO"] = "PPO"
    budget: int = 1024
    start: Literal["warm", "fresh"] = "warm"
    temperature: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    copies: int = 1
    softmax: bool = False
    reach: float | None = None

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise InvalidArgumentError(f"algorithm={self.algorithm!r}: expected one of {', '.join(ALGORITHMS)}")
        if self.budget < 1 or self.start not in ("warm", "fresh"):
            raise InvalidArgumentError(
                f"budget={self.budget!r}, start={self.start!r}: expected >= 1, 'warm' or 'fresh'"
            )
        self.copies = checks.integer("copies", self.copies, 1, self.budget)
        if self.temperature is not None and not self.temperature > 0:
            raise InvalidArgumentError(f"temperature={self.temperature!r}: expected None or a number > 0")
        if self.reach is not None:
            self.reach = checks.number("reach", self.reach, above=0)
        if self.softmax and (self.algorithm != "DQN" or self.temperature is None):
            raise InvalidArgumentError(
                f"softmax=True with algorithm={self.algorithm!r} and temperature={self.temperature!r}: DQN answers by a softmax, "
                "and needs the temperature of it"
            )
        if self.temperature is not None and self.algorithm in ("PPO", "A2C"):
            warnings.warn(
                f"temperature={self.temperature!r}: the entropy bonus of {self.algorithm} rewards the entropy of single replies and "
                "is not the temperature of a soft-optimal follower; soft_dqn and SAC have one",
                stacklevel=3,
            )

    def tracking(self, updates: int) -> StableBaselines3:
        """Transitions, after which the model is carried on; the library rounds up to whole rollouts."""
        return replace(self, budget=updates, start="warm")

    def begin(self, game: Game, *, seed: int = 0) -> None:
        """Forget the model.

        Raises:
            MissingExtraError: Stable-Baselines3 is not installed.
            UnsupportedGameError: the algorithm cannot play the follower's actions, ``reach`` is given where they have
                bounds, or several copies are asked for of a game without a horizon.
        """
        _library(self.algorithm)
        if self.copies > 1 and game.horizon is None:
            raise UnsupportedGameError(f"copies={self.copies!r}: {game.name} has no horizon; play one copy of it")
        _check_actions(self.algorithm, game, self.reach)
        self.seed, self.count = seed, 0
        self.model: Any = None
        self._stored: Any = None
        self.paid_by: FloatArray | None = None

    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """Train for the budget, then play the model's policy."""
        drawn = generator(self.seed, 6, self.count)
        seed, first = (int(number) for number in drawn.integers(2**31, size=2))
        env = self._environment(game, commitment, first)
        with contained(seed):
            self._prepare(env, game)
        self.model.action_space = copy.deepcopy(self.model.action_space)  # exploration draws from it
        self.model.action_space.seed(seed)
        configuration = commitment.configuration()
        chosen = None if configuration is None else configuration.detach().numpy().copy()
        if chosen is not None and self.paid_by is not None and self.start == "warm":
            _reprice(self.model, game, self.paid_by, chosen)
        self.paid_by = chosen
        before = int(self.model.num_timesteps)
        with contained(seed + 1):  # apart from the weights' numbers, which a resumed run does not draw
            self.model.learn(self.budget, reset_num_timesteps=False)
        self.count += 1
        temperature = self.temperature if self.softmax else None
        return Answer(SB3Response(self.model, game, chosen, temperature), None, int(self.model.num_timesteps) - before)

    def _environment(self, game: Game, commitment: Commitment, seed: int) -> Any:
        """What the model trains on; episode 0 of the seed is begun."""
        space = _actions(game, self.reach)
        if self.copies > 1:
            return _vectorised(ResponseVectorEnv(game, self.copies, commitment, AutoresetMode.SAME_STEP), seed, space)
        env: Any = best_response_env(game, commitment)
        if self.reach is not None:
            env = gymnasium.wrappers.TransformAction(env, _as_it_is, space)
        if game.horizon is None:
            env = gymnasium.wrappers.TimeLimit(env, game.stages())
        env.reset(seed=seed)
        return env

    def _prepare(self, env: Any, game: Game) -> None:
        """Set ``model`` up for an environment: a new one, a restored one or the last one."""
        if self.model is not None and self.start == "warm":
            self.model.set_env(env)
            return
        self.model = self._model(env, game)
        if self._stored is not None and self.start == "warm":
            _restore(self.model, self._stored)
        self._stored = None

    def _model(self, env: Any, game: Game) -> Any:
        seen = env.observation_space
        if isinstance(seen, gymnasium.spaces.Discrete) and seen.start != 0:
            raise UnsupportedGameError(
                f"{self.algorithm} reads observations that count from 0: {game.name} shows {seen}; number them from 0"
            )
        settings: dict[str, Any] = {"gamma": game.follower_discount, "device": "cpu", "verbose": 0}
        if self.temperature is not None and self.algorithm != "DQN":
            settings["ent_coef"] = self.temperature
        if self.algorithm in ("PPO", "MaskablePPO"):  # a rollout may not exceed the budget
            settings["n_steps"] = min(2048, max(2, self.budget // self.copies))
            settings["batch_size"] = _divisor(settings["n_steps"] * self.copies, 64)
        return getattr(_library(self.algorithm), self.algorithm)("MlpPolicy", env, **{**settings, **self.options})

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimisers, counters, replay buffer, number of responses, and the configuration that pays."""
        kept = self._stored if self.model is None or self.start == "fresh" else _contents(self.model)
        return {"model": kept, "count": self.count, "paid_by": None if self.start == "fresh" else self.paid_by}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Follower.load_state_dict``."""
        self._stored, self.count = state["model"], int(state["count"])
        self.paid_by = None if state["paid_by"] is None else np.asarray(state["paid_by"])


def _reprice(model: Any, game: Game, before: FloatArray, now: FloatArray) -> None:
    """Charge the leader's payments anew in what is remembered."""
    buffer, charged = getattr(model, "replay_buffer", None), getattr(game, "charged", None)
    if buffer is None or charged is None or not buffer.size():
        return
    size = buffer.size()
    rows = buffer.observations[:size].reshape(-1, *buffer.observations.shape[2:])
    if isinstance(model.observation_space, gymnasium.spaces.Discrete):
        rows = rows[:, 0]  # the buffer keeps a number as an array of one
    actions = buffer.actions[:size].reshape(-1, *buffer.actions.shape[2:])
    if isinstance(model.action_space, gymnasium.spaces.Box):
        actions = model.policy.unscale_action(actions)
    else:
        actions = actions[:, 0]
    change = charged(now, rows, actions) - charged(before, rows, actions)
    buffer.rewards[:size] += change.reshape(size, -1).astype(buffer.rewards.dtype)


def _library(algorithm: str) -> Any:
    if algorithm == "MaskablePPO":
        try:
            import sb3_contrib
        except ImportError as error:
            raise MissingExtraError("sb3_contrib", "sb3") from error
        return sb3_contrib
    try:
        import stable_baselines3
    except ImportError as error:
        raise MissingExtraError("stable_baselines3", "sb3") from error
    return stable_baselines3


def _vectorised(inner: ResponseVectorEnv, seed: int, actions: gymnasium.Space[Any]) -> Any:
    """The library's own kind of vector environment over ours."""
    from stable_baselines3.common.vec_env import VecEnv

    class Copies(VecEnv):
        """Steps all copies at once; says which episodes were cut, as the library wants to know."""

        def reset(self) -> Any:
            return inner.reset()[0]

        def step_async(self, actions: Any) -> None:
            self.chosen = actions

        def step_wait(self) -> Any:
            seen, paid, terminated, truncated, told = inner.step(self.chosen)
            infos: list[dict[str, Any]] = [{} for _ in range(inner.num_envs)]
            for row in np.flatnonzero(terminated | truncated):
                infos[row] = {
                    "terminal_observation": told["final_obs"][row],
                    "TimeLimit.truncated": bool(truncated[row] and not terminated[row]),
                }
            return seen, paid.astype(np.float32), terminated | truncated, infos

        def close(self) -> None:
            """Nothing is held."""

        def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
            return [getattr(inner, attr_name, None)] * inner.num_envs

        def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
            raise AttributeError(f"{attr_name} cannot be set")

        def env_method(self, method_name: str, *arguments: Any, indices: Any = None, **settings: Any) -> list[Any]:
            raise AttributeError(f"{method_name} is not offered")

        def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
            return [False] * inner.num_envs

    inner.reset(seed=seed)
    return Copies(inner.num_envs, inner.single_observation_space, actions)


def _actions(game: Game, reach: float | None) -> gymnasium.Space[Any]:
    """The follower's actions as the learner knows them: within reach."""
    space = game.follower_action_space
    if reach is None:
        return space
    assert isinstance(space, gymnasium.spaces.Box)
    low, high = np.maximum(space.low, -reach), np.minimum(space.high, reach)
    return gymnasium.spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)


def _as_it_is(action: Any) -> Any:
    return action


def _divisor(number: int, limit: int) -> int:
    """The largest divisor of ``number`` up to ``limit``, or ``limit`` where that is below a quarter of it."""
    best = max(k for k in range(1, min(number, limit) + 1) if number % k == 0)
    return best if 4 * best >= min(number, limit) else min(number, limit)


def _check_actions(algorithm: str, game: Game, reach: float | None) -> None:
    space = game.follower_action_space
    finite = isinstance(space, gymnasium.spaces.Discrete)
    bounded = isinstance(space, gymnasium.spaces.Box) and space.is_bounded("both")
    if reach is not None and (bounded or finite or algorithm == "DQN"):
        raise UnsupportedGameError(
            f"reach={reach!r}: {algorithm} in {game.name} plays {space}, which needs no bounds; leave it out"
        )
    if (
        reach is not None
        and isinstance(space, gymnasium.spaces.Box)
        and not (np.maximum(space.low, -reach) < np.minimum(space.high, reach)).all()
    ):
        raise UnsupportedGameError(f"reach={reach!r}: no action of {space} lies within; give a larger one")
    bounded = bounded or reach is not None
    if game.follower_masked != (algorithm == "MaskablePPO"):
        reason = "forbids actions at times, and" if game.follower_masked else "forbids no actions, and"
        remedy = (
            "needs masks; take PPO" if algorithm == "MaskablePPO" else "knows no masks; take algorithm='MaskablePPO'"
        )
        raise UnsupportedGameError(f"{game.name} {reason} {algorithm} {remedy}")
    fits = {"DQN": finite, "SAC": bounded}.get(algorithm, finite or bounded)
    if not fits:
        raise UnsupportedGameError(
            f"{algorithm} cannot play follower actions in {space}; DQN plays finitely many, SAC a bounded Box, PPO and "
            "A2C either; give reach=... where a Box has no bounds, or take maxent_lqr, which plans there"
        )


COUNTERS = ("num_timesteps", "_n_updates", "_n_calls", "_episode_num", "exploration_rate")
"""What a model counts, each where its algorithm does; schedules and target networks go by them."""
REPLAY = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
"""Arrays of a replay buffer, ``[size, copies, ...]``."""


def _contents(model: Any) -> dict[str, Any]:
    """Everything of a model that later training depends on."""
    kept = {
        "parameters": _plain(model.get_parameters()),
        "counters": {name: getattr(model, name) for name in COUNTERS if hasattr(model, name)},
    }
    entropy = getattr(model, "log_ent_coef", None)
    if entropy is not None:
        kept["log_ent_coef"] = entropy.detach().clone()
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None:
        arrays = {name: getattr(buffer, name)[: buffer.size()].copy() for name in REPLAY if hasattr(buffer, name)}
        kept["replay"] = {"arrays": arrays, "position": buffer.pos, "full": buffer.full}
    return kept


def _restore(model: Any, kept: Mapping[str, Any]) -> None:
    """Make a new model go on from what ``_contents`` gave."""
    model.set_parameters(kept["parameters"], exact_match=True)
    for name, value in kept["counters"].items():
        setattr(model, name, value)
    if "log_ent_coef" in kept:
        with torch.no_grad():
            model.log_ent_coef.copy_(torch.as_tensor(kept["log_ent_coef"]))
    if "replay" in kept:
        buffer = model.replay_buffer
        for name, rows in kept["replay"]["arrays"].items():
            getattr(buffer, name)[: len(rows)] = rows
        buffer.pos, buffer.full = kept["replay"]["position"], kept["replay"]["full"]


def _plain(value: Any) -> Any:
    """State of optimisers as dicts and lists only."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
