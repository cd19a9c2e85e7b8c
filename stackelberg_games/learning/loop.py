"""One match of a leader and a follower, and how far it has come: play, record, store, resume."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Generator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stackelberg_games import checks
from stackelberg_games._version import __version__
from stackelberg_games.errors import (
    CheckpointError,
    FollowerError,
    InvalidArgumentError,
    SolverError,
    UnsupportedGameError,
)
from stackelberg_games.exact.objective import best_response, leader_objective, leader_value
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning import restored
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.learning.information import Information, grant
from stackelberg_games.learning.interview import Held, Session, session_of
from stackelberg_games.learning.leader import Leader, Told, told
from stackelberg_games.learning.powers import Lent
from stackelberg_games.learning.registry import refusals_named
from stackelberg_games.learning.run import (
    SETTINGS,
    STATE,
    Record,
    read_history,
    read_settings,
    seal,
    write_history,
    write_settings,
)
from stackelberg_games.learning.score import Score, score
from stackelberg_games.numerics import checkpoint
from stackelberg_games.numerics.randomness import check_seed, generator
from stackelberg_games.play.rollout import PointResponse, TabularResponse
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Ledger

REHEARSALS = 2
"""Iterations that are played to see what the state of a match looks like: one shows what it has, a second what grows."""


@dataclass
class TrainingLoop:
    """One leader, one follower, one game, one seed, and how far it has come.

    Raises:
        InvalidArgumentError: a number is out of range.
    """

    game: Game
    leader: Leader
    follower: Follower
    seed: int
    episodes: int
    stages: int | None
    evaluate_every: int
    practice: int = 0
    history: list[Record] = field(default_factory=list)
    transitions: int = 0
    follower_transitions: int = 0
    playing: Session = field(init=False)
    ledger: Ledger | None = None
    lent: Lent | None = None

    def __post_init__(self) -> None:
        self.seed = check_seed(self.seed)
        self.episodes = checks.integer("episodes", self.episodes, 1)
        self.stages = None if self.stages is None else checks.integer("stages", self.stages, 1)
        self.evaluate_every = checks.integer("evaluate_every", self.evaluate_every, 0)
        self.practice = checks.integer("practice", self.practice, 0)
        horizon = self.game.horizon
        if self.stages is not None and horizon is not None and self.stages > horizon:
            raise InvalidArgumentError(f"stages={self.stages!r}: episodes of {self.game.name} have {horizon} stages")

    @property
    def iteration(self) -> int:
        """How many are finished."""
        return len(self.history)

    def affords(self, budget: int | None) -> bool:
        """Whether one more batch fits into the budget however long its episodes last."""
        longest = self.game.stages() if self.stages is None else self.stages
        batches = 1 + self.leader.further_batches
        return budget is None or self.transitions + batches * self.episodes * longest <= budget

    def begin(self, commitment: Commitment | None, temperature: Told) -> None:
        """Set both players up, and forget what they had learned; see ``train`` for the arguments."""
        self.given = commitment, temperature
        self.ledger = self.game.ledger()
        believed = self.follower.declared_temperature if temperature is None else temperature
        with refusals_named("leader", self.leader, self.game):
            view = told(self.game, self.leader, believed, self.ledger)
            self.leader.begin(view, seed=self.seed, commitment=commitment)
        with refusals_named("follower", self.follower, self.game):
            self.game.check_temperature(self.follower.declared_temperature)
            self.follower.begin(self.game, seed=self.seed)
        with refusals_named("leader", self.leader, self.game):
            self.lent = Lent(self.leader.powers, self.game, self.follower, self.seed, self.ledger)
        # Play has a seed of its own, so that evaluating with the match's seed meets new episodes.
        play_seed, self.score_seed = (int(number) for number in generator(self.seed, 1).integers(2**62, size=2))
        self.playing = session_of(self.game, play_seed, self.stages, self.leader.asks)

    def play_or_keep(self, kept: Path | None) -> Record:
        """Play an iteration; where the follower fails, what is finished is stored, and the run goes on from there."""
        try:
            return self.play()
        except FollowerError:
            if kept is not None:
                self.store(kept)
            raise

    def close(self) -> None:
        """End what was running to play."""
        self.playing.close()

    def scored(self, commitment: Commitment, episodes: int) -> Score:
        """Returns of episodes with a commitment, after the follower has settled on it."""
        return score(self.game, commitment, self.follower, episodes=episodes, seed=self.score_seed)

    def play(self) -> Record:
        """One iteration; the record is complete before the leader learns."""
        with refusals_named("follower", self.follower, self.game):
            for _ in range(0 if self.history else self.practice):
                self._counted(0, self.follower.respond(self.game, self.leader.commitment).transitions)
            answer = self.follower.respond(self.game, self.leader.commitment)
        played = self.playing.hold(self.leader.commitment, answer.policy, self.episodes, self.iteration)
        assert self.lent is not None
        record = self._record(played, answer)
        if self.evaluate_every and self.iteration % self.evaluate_every == 0:
            record |= self._evaluate(answer)
        if self.ledger is not None and self.leader.information >= Information.TRAJECTORIES:
            played.reveal(self.ledger)
        with refusals_named("leader", self.leader, self.game):
            evidence = grant(
                self.leader.information,
                played.batch,
                game=self.game,
                follower_policy=answer.policy,
                follower_values=answer.values,
                follower_rewards=self.leader.granted_follower_rewards,
                comparisons=played.comparisons,
                doings=self.lent.at(self.leader.commitment, self.playing, self.episodes, self.iteration),
            )
            before = self.lent.transitions, self.lent.follower_transitions
            record |= {f"leader/{name}": value for name, value in self.leader.update(evidence).items()}
        record |= self._counted(self.lent.transitions - before[0], self.lent.follower_transitions - before[1])
        self.history.append(record)
        return record

    def _counted(self, transitions: int, follower_transitions: int) -> Record:
        """Enter stages that were played; the sums so far."""
        self.transitions += transitions
        self.follower_transitions += follower_transitions
        return {"transitions": self.transitions, "follower_transitions": self.follower_transitions}

    def _record(self, played: Held, answer: Answer) -> Record:
        batch, asked = played.batch, self.playing.asked
        return {
            "iteration": self.iteration,
            **self._counted(played.transitions, answer.transitions),
            "leader_return": float(batch.leader_returns(self.game.leader_discount).sum() / batch.episodes),
            "follower_return": float(batch.follower_returns(self.game.follower_discount).sum() / batch.episodes),
            **({} if asked is None else {"labels": asked}),
        }

    def _evaluate(self, answer: Answer) -> Record:
        values = {}
        game, policy = self.game, answer.policy
        if isinstance(game, TabularGame | EmbeddedGame) and isinstance(policy, TabularResponse | PointResponse):
            with suppress(UnsupportedGameError):  # a judge who follows no known rule
                values["leader_value"] = leader_value(game, self.leader.commitment, policy.probabilities)
        optimal = self.recommended_value()
        return values if optimal is None else {**values, "recommended_value": optimal}

    def recommended_value(self) -> float | None:
        """Exact value of the recommendation against the optimal response, where both are known."""
        temperature, recommendation = self.follower.declared_temperature, self.leader.recommendation
        if temperature is None:
            return None
        with torch.no_grad(), suppress(UnsupportedGameError, SolverError):
            if isinstance(self.game, TabularGame):
                optimal = best_response(self.game, recommendation, temperature).policy
                return leader_value(self.game, recommendation, optimal)
            return float(leader_objective(self.game, recommendation, temperature))
        return None

    def settings(self, temperature: Told) -> dict[str, Any]:
        """What identifies the match, for its folder and for reports."""
        loop = {"episodes": self.episodes, "stages": self.stages, "evaluate_every": self.evaluate_every}
        if self.practice:  # runs that were stored before there was any go on
            loop["practice"] = self.practice
        agents = {
            kind: {"class": f"{type(agent).__module__}.{type(agent).__qualname__}", "settings": agent.settings}
            for kind, agent in (("leader", self.leader), ("follower", self.follower))
        }
        settings: dict[str, Any] = _plain(
            {
                "version": __version__,
                "format": checkpoint.FORMAT,
                "game": {"name": self.game.name, "fingerprint": self.game.fingerprint(), "spec": self.game.spec},
                **agents,
                "start": _digest(self.leader.state_dict()["commitment"]),
                "seed": self.seed,
                "temperature": temperature,
                "loop": loop,
            }
        )
        return settings

    def store(self, folder: Path) -> None:
        """Write history, then state; the state says how much of the history counts."""
        checkpoint.save(folder / STATE, self._state(write_history(folder, self.history)))

    def _state(self, history: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that a run is continued from; the history is only sealed in it."""
        return {
            "history": history,
            "iteration": self.iteration,
            "transitions": self.transitions,
            "follower_transitions": self.follower_transitions,
            "ledger": None if self.ledger is None else self.ledger.state_dict(),
            "leader": self.leader.state_dict(),
            "follower": self.follower.state_dict(),
            **({"lent": self.lent.state_dict()} if self.lent is not None and self.lent.powers else {}),
        }

    def resume(self, folder: Path, settings: dict[str, Any]) -> None:
        """Continue from a folder, or claim an empty one."""
        if not (folder / SETTINGS).exists():
            write_settings(folder, settings)
            return
        stored = read_settings(folder)
        if stored.get("format", 1) != checkpoint.FORMAT:
            raise CheckpointError(checkpoint.refusal(folder, stored.get("format", 1)))
        different = [key for key in settings if stored.get(key) != settings[key]]
        if different:
            raise CheckpointError(
                f"{folder} holds another run ({', '.join(different)} differ); choose another directory"
            )
        if not (folder / STATE).exists():
            return
        self._restore(folder, checkpoint.load(folder / STATE))

    def _restore(self, folder: Path, state: Any) -> None:
        """Take up a stored state, after everything in it was held against what it must look like."""
        file, sealed = folder / STATE, seal(b"", 0)
        seen = [self._state(sealed)]
        if isinstance(state, dict) and checks.is_integer(state.get("iteration")) and state["iteration"] > 0:
            seen = []  # what a fresh state does not have yet must be there by now
            with closing(self._rehearsed(file)) as rehearsal:
                for later in rehearsal:
                    seen.append(later)
                    if restored.fits(state, *seen):
                        break
        restored.check(str(file), state, *seen)
        self.history = read_history(folder, state["history"])
        self.transitions, self.follower_transitions = state["transitions"], state["follower_transitions"]
        if self.playing.asked is not None:
            self.playing.asked = int(self.history[-1]["labels"]) if self.history else 0
        try:
            if self.ledger is not None:
                self.ledger.load_state_dict(state["ledger"])
            self.leader.load_state_dict(state["leader"])
            self.follower.load_state_dict(state["follower"])
            if self.lent is not None and self.lent.powers:
                self.lent.load_state_dict(state["lent"])
        except Exception as error:  # what cannot be seen from outside, such as the numbers of a random state
            raise CheckpointError(f"{file} cannot be restored: {type(error).__name__}: {error}") from error

    def _rehearsed(self, file: Path) -> Generator[dict[str, Any], None, None]:
        """States after the first iterations, which are played for it; then the match begins anew."""
        commitment, temperature = self.given
        before = None if commitment is None else restored.still(dict(commitment.state_dict()))
        twin = replace(self, follower=self.follower.rehearsal(self.game), evaluate_every=0, practice=0, history=[])
        twin.playing = self.playing.rehearsal()
        try:
            for _ in range(REHEARSALS):
                with warnings.catch_warnings(action="ignore"):  # whatever there is to say was said when it was played
                    twin.play()
                yield restored.still(twin._state(seal(b"", 0)))
        except Exception as error:
            raise CheckpointError(
                f"{file} cannot be checked: an iteration to compare it with fails: {type(error).__name__}: {error}"
            ) from error
        finally:
            if commitment is not None:
                commitment.load_state_dict(before)  # type: ignore[arg-type]
            self.begin(commitment, temperature)


def _plain(value: Any) -> Any:
    """Settings as they come back from JSON."""
    return json.loads(
        json.dumps(value, default=lambda v: v.tolist() if isinstance(v, np.ndarray | np.generic) else str(v))
    )


def _digest(state: Mapping[str, Any]) -> str:
    """Hash of a commitment's parameters."""
    text = hashlib.sha256()
    for name, tensor in state.items():
        text.update(name.encode())
        text.update(tensor.detach().numpy().tobytes())
    return text.hexdigest()
