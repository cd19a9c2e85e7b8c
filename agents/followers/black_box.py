"""A follower of which little is known: a callable, a process, or the policy that another library has trained.

A stranger plays through ``env.last()``. It may learn as it goes, from the rewards it is shown, in ``practice``
episodes before each recorded batch and in the recorded ones; see ``stackelberg_games.adapters.black_box``.

A policy (``predict`` of Stable-Baselines3 and sb3-contrib, RLlib's policies and modules, a function of the
observation) is asked what ``best_response_env`` shows. As it stands it does not respond to the commitment: the leader
learns its best reply to a policy that never changes. With ``budget`` it is a model that goes on learning, by its own
``learn``, for so many transitions for every commitment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium

from stackelberg_games.adapters.asked import PolicyResponse
from stackelberg_games.adapters.black_box import RandomStranger, StrangerPolicy, asked_space
from stackelberg_games.adapters.policies import ask, check_policy, takes_masks
from stackelberg_games.adapters.spaces import Moves
from stackelberg_games.adapters.stranger_process import StrangerProcess
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.kinds.game import Game, best_response_env
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.numerics.containing import contained
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.play.rollout import rollout
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.scene import FOLLOWER


@dataclass
class BlackBox(Follower):
    """Asks a stranger for every action. What it has learned cannot be stored: a resumed run meets it anew.

    Args:
        stranger: called with ``env.last()``; or give ``command``, or ``policy``. With none of them it plays at random.
        command: program and arguments of a process that speaks JSON lines.
        policy: a policy object, see ``adapters.policies.ask``.
        deterministic: whether the policy plays its likeliest action; else it draws.
        budget: transitions for which the policy's ``learn`` is called for each response; 0 for a policy that stays as it is.
        timeout: seconds that the process may take to answer, > 0.
        practice: episodes it plays before each recorded batch.
        temperature: what leaders are told; None tells them nothing.
    """

    runs: ClassVar[tuple[str, ...]] = ("command",)
    stranger: Callable[..., Any] | None = None
    command: Sequence[str] = ()
    policy: Any = None
    deterministic: bool = True
    budget: int = 0
    timeout: float = 30.0
    practice: int = 0
    temperature: float | None = None

    def __post_init__(self) -> None:
        if (self.stranger is not None) + bool(self.command) + (self.policy is not None) > 1:
            raise InvalidArgumentError(
                "a black box takes one of `stranger`, a callable, `command`, a program, and `policy`, an object"
            )
        if self.policy is not None:
            check_policy(self.policy)
        if isinstance(self.budget, bool) or not isinstance(self.budget, int) or self.budget < 0:
            raise InvalidArgumentError(f"budget={self.budget!r}: expected an integer >= 0")
        if self.budget and not (hasattr(self.policy, "learn") and hasattr(self.policy, "set_env")):
            raise InvalidArgumentError(
                f"budget={self.budget!r}: {type(self.policy).__name__} has no `learn` and `set_env`, as models of "
                "Stable-Baselines3 have; give budget=0, or such a model"
            )
        if self.policy is not None and self.practice:
            raise InvalidArgumentError(f"practice={self.practice!r}: a policy learns by `budget`, if at all")
        if not self.timeout > 0 or self.practice < 0:
            raise InvalidArgumentError(f"timeout={self.timeout!r}, practice={self.practice!r}: expected > 0 and >= 0")

    def begin(self, game: Game, *, seed: int = 0) -> None:
        """Start a match; a process of an earlier one is ended."""
        self.close()
        self.seed = int(generator(seed, 7).integers(2**62))
        self.played, self.responses = 0, 0
        if self.policy is not None:
            self._check_policy(game)
            return
        asked = self.stranger
        if asked is None:
            if self.command:
                asked = StrangerProcess(self.command, self.timeout)
            else:
                asked = RandomStranger(asked_space(game), seed)
        self.asked = StrangerPolicy(asked)

    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """Let it practise; then it plays.

        Raises:
            FollowerError: it died, hung or answered nonsense.
        """
        if self.policy is not None:
            return self._ask_policy(game, commitment)
        transitions = 0
        if self.practice:
            batch = rollout(
                game, commitment, self.asked, episodes=self.practice, seed=self.seed, first_episode=self.played
            )
            self.played += self.practice
            transitions = batch.transitions
        return Answer(self.asked, None, transitions)

    def _check_policy(self, game: Game) -> None:
        """Refuse what cannot be asked before anything is played."""
        ask(self.policy, Moves(FOLLOWER, game.follower_action_space), self.deterministic)
        if game.follower_masked and hasattr(self.policy, "predict") and not takes_masks(self.policy):
            raise UnsupportedGameError(
                f"{game.name} forbids actions at times, and {type(self.policy).__name__} takes no masks; give a policy "
                "that does, such as MaskablePPO of sb3-contrib"
            )

    def _ask_policy(self, game: Game, commitment: Commitment) -> Answer:
        """Let the policy learn, where it is to; then it plays."""
        spent = 0
        if self.budget:
            env: Any = best_response_env(game, commitment)
            if game.horizon is None:
                env = gymnasium.wrappers.TimeLimit(env, game.stages())
            first, seed = (int(n) for n in generator(self.seed, self.responses).integers(2**31, size=2))
            env.reset(seed=first)
            self.policy.set_env(env)
            before = int(self.policy.num_timesteps)
            with contained(seed):
                self.policy.learn(self.budget, reset_num_timesteps=False)
            spent = int(self.policy.num_timesteps) - before
        self.responses += 1
        configuration = commitment.configuration()
        chosen = None if configuration is None else configuration.detach().numpy().copy()
        return Answer(PolicyResponse(self.policy, game, self.deterministic, chosen), None, spent)

    def rehearsal(self, game: Game) -> Follower:
        """One that plays at random: the stranger is not asked."""
        twin = BlackBox(practice=self.practice, temperature=self.temperature)
        twin.begin(game)
        return twin

    def close(self) -> None:
        """End the process, if there is one."""
        asked = getattr(self, "asked", None)
        if asked is not None and isinstance(asked.stranger, StrangerProcess):
            asked.stranger.close()

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that identify the match; a callable is named."""
        name = (
            None if self.stranger is None else getattr(self.stranger, "__qualname__", type(self.stranger).__qualname__)
        )
        kind = None if self.policy is None else type(self.policy).__qualname__
        return {**super().settings, "stranger": name, "command": list(self.command), "policy": kind}

    def state_dict(self) -> dict[str, Any]:
        """How many episodes it has practised, and how often it has responded."""
        return {"played": self.played, "responses": self.responses}

    def load_state_dict(self, state: Any) -> None:
        """See ``Follower.load_state_dict``."""
        self.played, self.responses = int(state["played"]), int(state["responses"])
