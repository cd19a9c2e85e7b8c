"""Conformance checks of the protocol: PettingZoo's own tests, spaces, masks, and the order of moves."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
from gymnasium import spaces

from stackelberg_games.conformance.asserting import official_tests
from stackelberg_games.conformance.play import (
    FOLLOWER,
    LEADER,
    Env,
    NotApplicable,
    Script,
    Subject,
    brief,
    candidates,
    configuration_of,
    played_to,
    turns,
)
from stackelberg_games.errors import ConformanceError

CYCLES = 60
"""Rounds that PettingZoo's tests and our own play where an episode does not end earlier."""


def _official(test: Any, *arguments: Any, **settings: Any) -> None:
    """Run one of PettingZoo's tests; what it asserts becomes a ``ConformanceError``."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            test(*arguments, **settings)
    except AssertionError as error:
        said = " ".join(str(error).split()) or "an assertion without a message failed"
        raise ConformanceError(
            f"PettingZoo's {test.__name__}: {said}", "see https://pettingzoo.farama.org/content/environment_tests/"
        ) from error


def api_of_env(subject: Subject) -> None:
    """PettingZoo's api_test on the environment as users get it."""
    _official(official_tests().api_test, _repeatable(subject.env()), num_cycles=CYCLES)


def api_of_raw_env(subject: Subject) -> None:
    """PettingZoo's api_test without wrappers, which hide some mistakes."""
    _official(official_tests().api_test, _repeatable(subject.raw_env()), num_cycles=CYCLES)


def _repeatable(env: Env) -> Env:
    """The environment with its action spaces seeded, so that a check ends alike at every run."""
    for number, agent in enumerate(env.possible_agents):
        env.action_space(agent).seed(number)
    return env


def seeds_of_two_envs(subject: Subject) -> None:
    """PettingZoo's seed_test: two environments with one seed play the same episode."""
    _official(official_tests().seed_test, subject.env, num_cycles=CYCLES)
    _official(official_tests().seed_test, subject.raw_env, num_cycles=CYCLES)


def parallel_faces(subject: Subject) -> None:
    """PettingZoo's Parallel tests on the turns and the plan form, over whole episodes."""
    from pettingzoo.utils.conversions import parallel_to_aec

    game = subject.game
    if game is None:
        raise NotApplicable("an AEC environment has no Parallel face of this package")
    for form in forms(subject):
        _official(official_tests().parallel_api_test, game.parallel_env(form), num_cycles=CYCLES)
        _official(
            official_tests().seed_test, lambda form=form: parallel_to_aec(game.parallel_env(form)), num_cycles=CYCLES
        )
        _official(official_tests().api_test, parallel_to_aec(game.parallel_env(form)), num_cycles=CYCLES)


def forms(subject: Subject) -> list[Any]:
    """The Parallel forms a game has; replies to every leader action need discrete actions and no configuration."""
    game = subject.game
    assert game is not None
    if game.configuration_space is not None:
        return ["turns"]
    both = isinstance(game.leader_action_space, spaces.Discrete) and isinstance(
        game.follower_action_space, spaces.Discrete
    )
    return ["turns", "plan"] if both or not game.follower_sees_action else ["turns"]


def state_in_its_space(subject: Subject) -> None:
    """``state()`` lies in ``state_space``; needed by central critics (MAPPO, QMIX)."""
    env: Any = subject.env()
    if getattr(env.unwrapped, "state_space", None) is None:
        raise NotApplicable("the environment has no state_space; only algorithms with a central critic miss it")
    env.reset(seed=0)
    for turn in turns(env, Script(), 2 * CYCLES):
        if not env.state_space.contains(env.state()):
            raise ConformanceError(
                f"before the move of {turn.agent}, state() is {brief(env.state())}, outside {env.state_space}",
                "return an array of the shape, dtype and bounds that state_space declares",
            )


def observations_in_their_spaces(subject: Subject) -> None:
    """Observations of both players lie in their spaces at every turn, also of the one who waits."""
    env = subject.env()
    env.reset(seed=0)
    for turn in turns(env, Script(), 2 * CYCLES):
        for agent in env.agents:
            seen, space = env.observe(agent), env.observation_space(agent)
            if not space.contains(seen):
                raise ConformanceError(
                    f"when {turn.agent} is to move, {agent} observes {brief(seen)}, outside {space}",
                    "match shape, dtype and bounds of observation_space",
                )


def agents(subject: Subject) -> None:
    """There are two agents, a leader and a follower; nothing else is checked where this fails."""
    if not subject.both_agents:
        found = getattr(subject.raw_env(), "possible_agents", None)
        raise ConformanceError(
            f"possible_agents is {found}", f"a Stackelberg game has the agents {LEADER!r} and {FOLLOWER!r}"
        )


def metadata(subject: Subject) -> None:
    """Name, render modes, and no conversion that hides the leader's move."""
    raw = subject.raw_env()
    facts = getattr(raw, "metadata", None)
    if not isinstance(facts, dict) or not isinstance(facts.get("name"), str) or not facts["name"]:
        raise ConformanceError(f"metadata is {facts!r}", 'set metadata = {"name": "my_game_v0", "render_modes": []}')
    if not isinstance(facts.get("render_modes"), list | tuple):
        raise ConformanceError("metadata has no list of render_modes", 'add "render_modes": [] where there are none')
    if not hasattr(raw, "render_mode"):
        raise ConformanceError(
            "there is no attribute render_mode", "set self.render_mode, to None where it is not used"
        )
    if subject.sees and facts.get("is_parallelizable", False):
        raise ConformanceError(
            "metadata says is_parallelizable, but PettingZoo's aec_to_parallel collects both moves before the leader's "
            "is shown, which makes the game simultaneous",
            'set "is_parallelizable": False',
        )


def order_of_moves(subject: Subject) -> None:
    """The leader moves first, the follower answers, and episodes end only after the answer.

    A leader that configures the game moves once; after that every turn is the follower's.
    """
    env = subject.env()
    for seed in range(5):
        env.reset(seed=seed)
        expected, last = LEADER, FOLLOWER
        for turn in turns(env, Script(seed), 2 * CYCLES):
            if turn.terminated or turn.truncated:
                if last == LEADER:
                    raise ConformanceError(
                        "an episode ended after the leader's move, before the follower could answer",
                        "set terminations and truncations only at the end of a round, for both players at once",
                    )
                break
            if turn.agent != expected:
                raise ConformanceError(
                    f"{turn.agent} is to move where {expected} was expected",
                    "let leader_0 move first in every round, then follower_0; where it configures the game and then only "
                    'watches, say so in the metadata: {"leader_commits": "once an episode"}',
                )
            last, expected = turn.agent, FOLLOWER if turn.agent == LEADER or subject.once else LEADER


def rewards_are_finite(subject: Subject) -> None:
    """Every reward is a finite number."""
    env = subject.env()
    for seed in range(3):
        env.reset(seed=seed)
        for turn in turns(env, Script(seed), 2 * CYCLES):
            for agent, reward in env.rewards.items():
                if not np.isfinite(float(reward)):
                    raise ConformanceError(
                        f"the reward of {agent} is {reward} when {turn.agent} is to move",
                        "guard divisions and logarithms; infinite penalties belong into the rules",
                    )


def masked_play(subject: Subject) -> None:
    """Action masks are int8 vectors of zeros and ones that leave the mover an action."""
    env, masks = subject.env(), 0
    for seed in range(3):
        env.reset(seed=seed)
        for turn in turns(env, Script(seed), 2 * CYCLES):
            if turn.mask is None:
                continue
            masks += 1
            mask, space = np.asarray(turn.mask), env.action_space(turn.agent)
            shape = (int(space.n),) if isinstance(space, spaces.Discrete) else mask.shape
            if mask.dtype != np.int8 or mask.shape != shape or not np.isin(mask, (0, 1)).all() or not mask.any():
                raise ConformanceError(
                    f"the action mask of {turn.agent} is {brief(turn.mask)} of dtype {mask.dtype}",
                    f"give zeros and ones of dtype int8 and shape {shape}, at least one of them 1 "
                    "(Discrete.sample takes no other dtype)",
                )
    if not masks:
        raise NotApplicable("there are no action masks")


def refuses_actions_outside_the_space(subject: Subject) -> None:
    """An action index that does not exist raises an error or ends the episode; it is never played.

    Nor is a configuration of the wrong shape, with NaN in it or beyond its bounds.
    """
    env = subject.env()
    asked = _refused_configurations(env, subject)
    for turn in (0, 1):
        if not played_to(env, 0, Script(), turn) or not isinstance(
            env.action_space(env.agent_selection), spaces.Discrete
        ):
            continue
        asked += 1
        agent = env.agent_selection
        space = env.action_space(agent)
        assert isinstance(space, spaces.Discrete)
        wrong = int(space.start + space.n)
        try:
            env.step(wrong)
        except Exception:  # noqa: BLE001, S112 (refused, with whatever error)
            continue
        if not any(env.terminations.values()) and not any(env.truncations.values()):
            if not __debug__ and _leaves_it_to_an_assert(env):
                raise NotApplicable(
                    "AssertOutOfBoundsWrapper refuses by an assert, which python -O strips; run without"
                )
            raise ConformanceError(
                f"{agent} played {wrong}, which is not in {space}",
                "raise an error in step, or wrap the environment in PettingZoo's AssertOutOfBoundsWrapper",
            )
    if not asked:
        raise NotApplicable("no player has discrete actions")


def _leaves_it_to_an_assert(env: Any) -> bool:
    while env is not None and type(env).__name__ != "AssertOutOfBoundsWrapper":
        env = vars(env).get("env")
    return env is not None


def _refused_configurations(env: Env, subject: Subject) -> int:
    """How many wrong configurations were submitted, all of them refused."""
    game = subject.game
    if game is None or game.configuration_space is None:
        return 0
    good, space = configuration_of(game), game.configuration_space
    wrong = [np.append(good, good), np.full(space.shape, np.nan), np.full(space.shape, np.inf)]
    if space.is_bounded("above"):
        wrong.append(np.nextafter(space.high, np.inf) + 1e-3)
    for bad in wrong:
        env.reset(seed=0)
        move = bad if subject.once else {**candidates(env.action_space(LEADER), None, 1)[0], "configuration": bad}
        try:
            env.step(move)
        except Exception:  # noqa: BLE001, S112 (refused, with whatever error)
            continue
        raise ConformanceError(
            f"leader_0 configured the game with {brief(bad)}, which is not in {space}",
            "raise InvalidActionError for what configuration_space does not contain",
        )
    return len(wrong)


def rounds_of_an_episode(subject: Subject) -> None:
    """An episode that is not terminated lasts exactly as many rounds as it says."""
    chosen = {"max_cycles": 4} if subject.game is None and subject.takes("max_cycles") else {}
    env = subject.env(**chosen)
    limit: int | None = chosen.get("max_cycles", getattr(env.unwrapped, "max_cycles", None))
    if limit is None:
        raise NotApplicable("no horizon: set the attribute max_cycles, or take an argument of that name")
    for seed in range(3):
        env.reset(seed=seed)
        rounds, truncated, terminated = 0, False, False
        for turn in turns(env, Script(seed), 2 * limit + 4):
            rounds += turn.agent == FOLLOWER and turn.action is not None
            truncated, terminated = truncated or turn.truncated, terminated or turn.terminated
        if not terminated and (not truncated or rounds != limit):
            raise ConformanceError(
                f"{rounds} rounds were played{'' if truncated else ' and more would follow'} where {limit} are declared",
                "truncate both players after the follower's move of the last round",
            )


def render_modes(subject: Subject) -> None:
    """Every declared render mode but ``human`` returns what its name promises, and closes."""
    modes = [m for m in subject.raw_env().metadata.get("render_modes", []) if m != "human"]
    if not modes:
        raise NotApplicable("no render mode needs no display")
    if not subject.takes("render_mode"):
        raise NotApplicable("the factory takes no render_mode")
    for mode in modes:
        env: Any = subject.env(render_mode=mode)
        env.reset(seed=0)
        for number, _ in enumerate(turns(env, Script(), 3)):
            if number in (0, 2):
                _check_picture(mode, env.render())
        env.close()


def _check_picture(mode: str, picture: Any) -> None:
    image = isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.shape[2:] == (3,)
    if (mode == "ansi" and not isinstance(picture, str)) or (mode == "rgb_array" and not image):
        raise ConformanceError(
            f"render_mode={mode!r} gives {brief(picture)}",
            "ansi gives text, rgb_array an array uint8 [height, width, 3]",
        )
