"""Cheetah design: the leader sets the lengths of a half cheetah's legs, the follower learns to run with them.

| fact             | value                                                                          |
|------------------|--------------------------------------------------------------------------------|
| Agents           | leader_0, follower_0                                                           |
| State            | MuJoCo's positions and velocities of the half cheetah, in R^18                 |
| Observation      | the state without x, in R^17; the follower sees the configuration beside it    |
| Follower action  | torques u in [-1, 1]^6 of the joints, times MuJoCo's gears                     |
| Configuration    | how much longer the six segments of the legs are than usual, in [-0.5, 0.5]^6, as shares: back thigh, shin, foot, front thigh, shin, foot |
| Dynamics         | MuJoCo, 5 steps of 0.01 s a stage; segments weigh what they are long           |
| Follower reward  | speed in m/s - 0.1 |u|^2                                                       |
| Leader reward    | distance in m - 0.05 s times ``cost`` times the metres of leg                  |
| Start            | angles and height from U(-0.1, 0.1) around rest, velocities of deviation 0.1; at rest the lowest point is where it usually is |
| Discounts        | 1, 0.99                                                                        |
| Horizon          | 200 stages, 10 s; no terminal states                                           |
| Optimum          | not known                                                                      |

All zero is the body of Gymnasium's ``HalfCheetah-v5``, 14 kg and 1.4 m of leg. The follower sees the configuration, so that what it has learned with
one body helps it with the next, and what it remembers of one is true of it. What a body does to the motion has
no derivative here: leaders of class RETURNS design it, and those that ask the lever for terms refuse. MuJoCo is the extra ``mujoco``.

Source: the half cheetah of Wawrzynski (2009) as in Gymnasium; its body set by a leader as in Stackelberg PPO (arXiv 2603.15388)
and the co-design literature before it.

Version history: v0, first version.
"""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stackelberg_games import settings
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.parametrisation import Bounded
from stackelberg_games.commitments.space import check_inside
from stackelberg_games.errors import InvalidGameError, MissingExtraError, SolverError, UnsupportedGameError
from stackelberg_games.faces import faces
from stackelberg_games.faces.box import checked
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import Lane, Streams, generator
from stackelberg_games.play.rollout import rollout
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Ledger, Lever, Stages, Terms
from stackelberg_games.rules.rules import Step, check_discount, check_horizon
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView

if TYPE_CHECKING:
    from stackelberg_games.rules.scene import Scene

SEGMENTS = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")
METRES = 2 * np.array([0.145, 0.15, 0.094, 0.133, 0.106, 0.07])
"""Usual lengths of the segments."""
POSITIONS, SUBSTEPS, SUBSTEP, MASS, EFFORT, SPREAD, MOST = 9, 5, 0.01, 14.0, 0.1, 0.1, 0.5
SIZE, DURATION = 2 * POSITIONS, SUBSTEPS * SUBSTEP
SHAPE = Bounded(-MOST, MOST)
USUAL = (0.0,) * len(SEGMENTS)


class Body(NamedTuple):
    """MuJoCo's compiled model, and its data as scratch space."""

    model: Any
    data: Any


def _mujoco() -> Any:
    try:
        import mujoco
        import mujoco.rollout
    except ImportError as error:
        raise MissingExtraError("mujoco", "mujoco") from error
    return mujoco


def _specification(longer: tuple[float, ...], density: float) -> Any:
    """The half cheetah with other legs."""
    # Gymnasium's file sets the mass of every body to 14 kg, and MuJoCo will not read that much longer.
    path = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / "half_cheetah.xml"
    made = _mujoco().MjSpec.from_string(path.read_text().replace('settotalmass="14"', ""))
    for part in made.geoms:
        part.density = density
    for name, more in zip(SEGMENTS, longer, strict=True):
        part = made.geom(name)
        part.size[1] *= 1 + more
        part.pos *= 1 + more
        for child in made.body(name).bodies:
            child.pos *= 1 + more
    return made


@lru_cache(maxsize=1)
def _usual() -> tuple[float, float]:
    """Density at which the usual body has its mass, and height of its lowest point at rest."""
    model = _specification(USUAL, 1000.0).compile()
    return 1000.0 * MASS / float(model.body_mass.sum()), _lowest(model)


@lru_cache(maxsize=16)
def _body(longer: tuple[float, ...], thread: int) -> Body:
    """The body with other legs; every thread has its own scratch space."""
    density, height = _usual()
    made = _specification(longer, density)
    made.body("torso").pos[2] += height - _lowest(made.compile())
    model = made.compile()
    return Body(model, _mujoco().MjData(model))


def _lowest(model: Any) -> float:
    """Height of the lowest point at rest."""
    parts = at_rest(Body(model, _mujoco().MjData(model)))
    return float(min(min(one[1], other[1]) - radius for _, one, other, radius in parts))


def at_rest(body: Body) -> list[tuple[str, FloatArray, FloatArray, float]]:
    """Its ``capsules`` at rest."""
    body.data.qpos[:] = 0.0
    _mujoco().mj_kinematics(body.model, body.data)
    return capsules(body)


def capsules(body: Body) -> list[tuple[str, FloatArray, FloatArray, float]]:
    """Name, both ends in the plane of motion and radius of every part, as it stands in ``body.data``."""
    model, data, found = body.model, body.data, []
    for number in range(1, model.ngeom):  # the first is the floor
        axis = data.geom_xmat[number].reshape(3, 3)[:, 2] * model.geom_size[number, 1]
        middle = data.geom_xpos[number]
        found.append(
            (model.geom(number).name, (middle - axis)[[0, 2]], (middle + axis)[[0, 2]], model.geom_size[number, 0])
        )
    return found


class BodyLever(Lever):
    """What the leader knows of its lever: where it starts. MuJoCo's motion has no derivative in the body."""

    moves_transitions = True

    def commitment(self, seed: int, spread: float | None = None) -> Commitment:
        """See ``Lever.commitment``."""
        return first_body(seed, spread)

    def terms(self, configuration: Tensor, stages: Stages) -> Terms:
        """Raise ``UnsupportedGameError``."""
        raise UnsupportedGameError(
            "cheetah_design-v0: what a body does to the motion has no derivative; evolution_strategies and random_search "
            "design it"
        )


def first_body(seed: int = 0, spread: float | None = None) -> Configuration:
    """The usual body, its parameters moved by N(0, spread^2), 0.01 if not given."""
    return Configuration(
        (0.01 if spread is None else spread) * generator(seed, 5).standard_normal(len(SEGMENTS)), SHAPE
    )


class CheetahDesign(Game):
    """See the module's text.

    Args:
        cost: speed in m/s that a metre of leg has to bring, >= 0.
        leader_discount: see ``Game``.
        follower_discount: see ``Game``.
        horizon: see ``Game``.

    Raises:
        InvalidGameError: an argument is out of range.
    """

    @settings.checked
    def __init__(
        self,
        cost: float = 0.5,
        *,
        leader_discount: float = 1.0,
        follower_discount: float = 0.99,
        horizon: int | None = 200,
    ) -> None:
        if not 0 <= cost < float("inf"):
            raise InvalidGameError(f"cost={cost!r}: expected a number >= 0")
        self.name, self.cost, self.horizon = "cheetah_design-v0", float(cost), check_horizon(horizon)
        self.leader_discount = check_discount("leader_discount", leader_discount, one_allowed=horizon is not None)
        self.follower_discount = check_discount("follower_discount", follower_discount)
        self.follower_sees_action = True
        self.state_space = gymnasium.spaces.Box(-np.inf, np.inf, (SIZE,), np.float64)
        self.leader_action_space = gymnasium.spaces.Discrete(1)
        self.follower_action_space = gymnasium.spaces.Box(-1.0, 1.0, (len(SEGMENTS),), np.float32)
        self.configuration_space = SHAPE.space(len(SEGMENTS))
        self.idle_action = 0
        self.longer = USUAL
        self._observations = gymnasium.spaces.Box(-np.inf, np.inf, (SIZE - 1,), np.float32)

    @property
    def body(self) -> Body:
        """The body as it is: the usual one unless ``configured``."""
        return _body(self.longer, threading.get_ident())

    def configured(self, configuration: Tensor) -> CheetahDesign:
        """The game with a given body.

        Raises:
            InvalidArgumentError: a segment is out of range.
        """
        check_inside(self.configuration_space, configuration)
        fixed = copy.copy(self)
        fixed.configuration_space = fixed.idle_action = None
        fixed.longer = tuple(torch.as_tensor(configuration).detach().tolist())
        return fixed

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """Positions but x, and velocities."""
        return self._observations

    def observe(self, state: Any) -> NDArray[np.float32]:
        """See ``observation_space``."""
        return np.asarray(state)[1:].astype(np.float32)

    def initial(self, streams: Streams) -> FloatArray:
        """First states, ``[N, 18]``."""
        moved = SPREAD * (2 * streams.uniform(Lane.ENVIRONMENT, 0, POSITIONS) - 1)
        return np.concatenate((moved, SPREAD * streams.normal(Lane.ENVIRONMENT, 1, POSITIONS)), axis=1)

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """Play one stage in every episode.

        Raises:
            InvalidActionError: a torque lies outside its range.
            SolverError: the simulation diverged.
        """
        torques = checked("follower", follower_actions, self.follower_action_space, len(states))
        body, clocked = self.body, np.concatenate((np.zeros((len(states), 1)), states), axis=1)
        moved, _ = _mujoco().rollout.rollout(body.model, body.data, clocked, torques[:, None], nstep=SUBSTEPS)
        after = moved[:, -1, 1:].copy()
        if not np.isfinite(after).all() or body.data.warning.number.any():
            raise SolverError(f"MuJoCo's simulation of the legs {self.longer} diverged; keep states near those of play")
        covered = after[:, 0] - states[:, 0]
        metres = float(METRES @ (1 + np.array(self.longer)))
        earned = covered - DURATION * self.cost * metres
        paid = covered / DURATION - EFFORT * np.square(torques).sum(axis=1)
        return Step(after, earned, paid, np.zeros(len(states), dtype=np.bool_))

    def simulate(
        self, commitment: Commitment, follower_policy: Any, streams: Streams, stages: int
    ) -> Trajectories | None:
        """Play with the body where the commitment configures."""
        configuration = commitment.configuration()
        if configuration is None or self.configuration_space is None:
            return None
        numbers = {"episodes": len(streams.episodes), "first_episode": int(streams.episodes[0]), "stages": stages}
        return rollout(self.configured(configuration), commitment, follower_policy, seed=streams.seed, **numbers)

    def commitment(self, seed: int = 0, spread: float | None = None) -> Configuration:
        """See ``first_body``."""
        return first_body(seed, spread)

    def view(self, temperature: float | None = None, ledger: Ledger | None = None) -> LeaderView:
        """What a leader is told."""
        view = super().view(temperature, ledger)
        return view if self.configuration_space is None else replace(view, lever=BodyLever())

    def draw(self, axes: Any, scene: Scene) -> bool:
        """The body from the side, and how far it has come."""
        chosen, state = scene.configuration, np.asarray(scene.state)
        body_of = self.longer if chosen is None else tuple(np.asarray(chosen, dtype=np.float64).tolist())
        body = _body(body_of, threading.get_ident())
        body.data.qpos[:] = state[:POSITIONS]
        _mujoco().mj_kinematics(body.model, body.data)
        axes.set(xlim=(state[0] - 1.5, state[0] + 1.5), ylim=(-0.3, 1.7), aspect="equal")
        axes.axhline(0.0, color="0.5", linewidth=1, zorder=1)
        for metre in range(int(np.ceil(state[0] - 1.4)), int(np.floor(state[0] + 1.4)) + 1):
            axes.plot([metre, metre], [-0.05, 0.0], color="0.5", linewidth=1)
            axes.text(metre, -0.08, f"{metre} m", ha="center", va="top", fontsize=9, color="0.5")
        for name, one, other, radius in capsules(body):
            set_by = "#7b4fc9" if name in SEGMENTS else "#8b949e"
            style = {"solid_capstyle": "round", "linewidth": 150 * radius}
            axes.plot([one[0], other[0]], [one[1], other[1]], color=set_by, alpha=0.85, zorder=3, **style)
        shares = ", ".join(f"{more:+.0%}" for more in body_of)
        axes.text(0.02, 0.96, f"legs {shares}", transform=axes.transAxes, color="#7b4fc9", va="top", fontsize=9)
        if scene.played is not None:
            torques = ", ".join(f"{torque:+.1f}" for torque in np.asarray(scene.played.follower_action))
            axes.text(0.02, 0.90, f"torques {torques}", transform=axes.transAxes, color="#1a8f6a", va="top", fontsize=9)
        return True


game = CheetahDesign
env, raw_env, parallel_env = faces(game)
