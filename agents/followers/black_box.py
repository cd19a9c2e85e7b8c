"""A follower of which nothing is known: a callable, or a process, that plays through ``env.last()``.

It may learn as it goes, from the rewards it is shown, in ``practice`` episodes before each recorded
batch and in the recorded ones. See ``stackelberg_games.adapters.black_box`` for what it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stackelberg_games.adapters.black_box import RandomStranger, StrangerPolicy, asked_space
from stackelberg_games.adapters.stranger_process import StrangerProcess
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.play.rollout import rollout
from stackelberg_games.rules.commitment import Commitment


@dataclass
class BlackBox(Follower):
    """Asks a stranger for every action. What it has learned cannot be stored: a resumed run meets it anew.

    Args:
        stranger: called with ``env.last()``; or give ``command``. With neither it plays at random.
        command: program and arguments of a process that speaks JSON lines.
        timeout: seconds that the process may take to answer, > 0.
        practice: episodes it plays before each recorded batch.
        temperature: what leaders are told; None tells them nothing.
    """

    runs: ClassVar[tuple[str, ...]] = ("command",)
    stranger: Callable[..., Any] | None = None
    command: Sequence[str] = ()
    timeout: float = 30.0
    practice: int = 0
    temperature: float | None = None

    def __post_init__(self) -> None:
        if self.stranger is not None and self.command:
            raise InvalidArgumentError(
                "a black box takes either `stranger`, a callable, or `command`, a program; not both"
            )
        if not self.timeout > 0 or self.practice < 0:
            raise InvalidArgumentError(f"timeout={self.timeout!r}, practice={self.practice!r}: expected > 0 and >= 0")

    def begin(self, game: Game, *, seed: int = 0) -> None:
        """Start a match; a process of an earlier one is ended."""
        self.close()
        self.seed = int(generator(seed, 7).integers(2**62))
        self.played = 0
        asked = self.stranger
        if asked is None:
            if self.command:
                asked = StrangerProcess(self.command, self.timeout)
            else:
                asked = RandomStranger(asked_space(game), seed)
        self.policy = StrangerPolicy(asked)

    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """Let it practise; then it plays.

        Raises:
            FollowerError: it died, hung or answered nonsense.
        """
        transitions = 0
        if self.practice:
            batch = rollout(
                game, commitment, self.policy, episodes=self.practice, seed=self.seed, first_episode=self.played
            )
            self.played += self.practice
            transitions = batch.transitions
        return Answer(self.policy, None, transitions)

    def rehearsal(self, game: Game) -> Follower:
        """One that plays at random: the stranger is not asked."""
        twin = BlackBox(practice=self.practice, temperature=self.temperature)
        twin.begin(game)
        return twin

    def close(self) -> None:
        """End the process, if there is one."""
        policy = getattr(self, "policy", None)
        if policy is not None and isinstance(policy.stranger, StrangerProcess):
            policy.stranger.close()

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that identify the match; a callable is named."""
        name = (
            None if self.stranger is None else getattr(self.stranger, "__qualname__", type(self.stranger).__qualname__)
        )
        return {**super().settings, "stranger": name, "command": list(self.command)}

    def state_dict(self) -> dict[str, Any]:
        """How many episodes it has practised."""
        return {"played": self.played}

    def load_state_dict(self, state: Any) -> None:
        """See ``Follower.load_state_dict``."""
        self.played = int(state["played"])
