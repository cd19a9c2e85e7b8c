"""One match: a leader trains against a follower within a budget, then its commitment is measured."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Literal

from stackelberg_games import checks, files
from stackelberg_games._version import __version__
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.errors import MatchTimeoutError, StoreError, UnsupportedGameError
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning.follower import Follower
from stackelberg_games.learning.leader import Leader
from stackelberg_games.learning.training import train
from stackelberg_games.numerics.threads import single_threaded
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.tournaments.contestant import Contestant, canonical
from stackelberg_games.tournaments.evaluation import (
    Evaluation,
    best_payoff,
    deterministic_commitment,
    evaluate,
    evaluate_best,
    initial_commitment,
    optimal_commitment,
    true_temperature,
)

Status = Literal["done", "failed", "unavailable"]
BEST, OWN = "best response", "as trained"
"""Names of two measurements of every match: against the follower's exact best response, and
against the follower as the training left it."""
_FORMAT = 1
"""Raised whenever a match of the same settings would be measured or stored differently."""


@dataclass(frozen=True)
class Reference:
    """A reference player in place of a learning leader.

    Attributes:
        label: name in tables.
        kind: which commitment it plays.
    """

    label: str
    kind: Literal["optimum", "deterministic", "uniform"]

    @property
    def identity(self) -> str:
        """Canonical JSON."""
        return canonical({"reference": self.kind})


REFERENCES = (
    Reference("exact optimum", "optimum"),
    Reference("best deterministic", "deterministic"),
    Reference("uniform random", "uniform"),
)


@dataclass(frozen=True)
class MatchRules:
    """How matches are played and measured.

    Attributes:
        budget: transitions a leader may play against its follower.
        episodes: in every batch.
        stages: cut episodes here; the game's own length if None.
        points: measurements along the learning curve.
        evaluation_episodes: fresh episodes where a payoff has no exact figure.

    Raises:
        InvalidArgumentError: one of them is no integer, or out of range.
    """

    budget: int
    episodes: int = 3
    stages: int | None = None
    points: int = 40
    evaluation_episodes: int = 1000

    def __post_init__(self) -> None:
        for name, least in (("budget", 1), ("episodes", 1), ("points", 0), ("evaluation_episodes", 1)):
            object.__setattr__(self, name, checks.integer(name, getattr(self, name), least))
        if self.stages is not None:
            object.__setattr__(self, "stages", checks.integer("stages", self.stages, 1))


@dataclass(frozen=True)
class Outcome:
    """What came of a match.

    Attributes:
        status: ``"unavailable"`` for a reference player that is not known in this game.
        information: the leader's information class, or None for a reference player.
        evaluations: against the exact best response (where known), the follower as trained, and
            every held-out follower.
        curve: transitions spent and the leader's payoff then, ``([P], [P])``; against the exact
            best response where that is known, else means of what was played.
        transitions: stages played between the two.
        follower_transitions: stages the follower played on its own to learn.
        note: how a reference was found, or why it is unavailable.
        error: traceback of a failed match.
        cpu_seconds, wall_seconds: of the worker; the only figures that differ between two runs.
    """

    status: Status
    information: str | None = None
    evaluations: tuple[Evaluation, ...] = ()
    curve: tuple[tuple[int, ...], tuple[float, ...]] = ((), ())
    transitions: int = 0
    follower_transitions: int = 0
    note: str = ""
    error: str = ""
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0

    def to_json(self) -> str:
        """Everything but the timings; the same text in every process."""
        facts = dict(vars(self))
        del facts["cpu_seconds"], facts["wall_seconds"]
        return json.dumps(facts, separators=(",", ":"), default=vars)  # of evaluations

    @classmethod
    def from_json(cls, text: str | bytes, cpu_seconds: float, wall_seconds: float) -> Outcome:
        """What ``to_json`` wrote, and the timings; raises ``StoreError`` for anything else."""
        facts = files.parse_json(text, "a stored match", StoreError)
        try:
            facts["evaluations"] = tuple(Evaluation(**row) for row in facts["evaluations"])
            facts["curve"] = (tuple(facts["curve"][0]), tuple(facts["curve"][1]))
            return cls(**facts, cpu_seconds=cpu_seconds, wall_seconds=wall_seconds)
        except (LookupError, TypeError) as error:
            raise StoreError(f"a stored match is not one of this version: {error}") from error


@dataclass(frozen=True)
class Match:
    """A match before it is played. Its outcome is a function of ``key`` alone, but for timings."""

    game: Contestant
    leader: Contestant | Reference
    follower: Contestant
    seed: int
    rules: MatchRules
    held_out: tuple[Contestant, ...] = ()
    key: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.key:
            names = [player.identity for player in (self.game, self.leader, self.follower, *self.held_out)]
            labels = [player.label for player in self.held_out]
            facts = [_FORMAT, __version__, names, labels, self.seed, asdict(self.rules)]
            object.__setattr__(self, "key", hashlib.sha256(canonical(facts).encode()).hexdigest()[:32])

    def derived_seed(self, purpose: str, *identities: str) -> int:
        """A seed in [0, 2**63) that depends on game, seed and purpose, never on the leader.

        Leaders of the same game, follower and seed therefore meet common random numbers.
        """
        text = canonical([purpose, self.seed, self.game.identity, *identities])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def play(self, timeout: float | None = None) -> Outcome:
        """Play it; an exception becomes an outcome with status ``"failed"``.

        Args:
            timeout: seconds of wall time after which the match is given up.
        """
        cpu, wall = time.process_time(), time.perf_counter()
        facts: dict[str, Any]
        try:
            with single_threaded(), deadline(timeout) as check:
                game, follower = self.game.build(), self.follower.build()
                with follower:
                    facts = self._train(game, follower, check)
        except (Exception, SystemExit):  # noqa: BLE001 a failed match must stop no other
            facts = {"status": "failed", "error": traceback_text()}
        return Outcome(**facts, cpu_seconds=time.process_time() - cpu, wall_seconds=time.perf_counter() - wall)

    def _train(self, game: Game, follower: Follower, check: Callable[[], None]) -> dict[str, Any]:
        if isinstance(self.leader, Reference):
            return self._refer(self.leader, game, follower)
        leader = self.leader.build()
        curve = _Curve(game, true_temperature(follower), self.rules, check)
        run = train(
            game,
            leader,
            follower,
            iterations=self.rules.budget,
            budget=self.rules.budget,
            episodes=self.rules.episodes,
            stages=self.rules.stages,
            seed=self.derived_seed("match", self.follower.identity),
            evaluate_every=0,
            callbacks=[curve],
            progress=False,
        )
        last = run.history[-1]
        return {
            "status": "done",
            "information": leader.division.name,
            "evaluations": self._measure(game, run.commitment, follower),
            "curve": curve.finish(last["transitions"], leader),
            "transitions": int(last["transitions"]),
            "follower_transitions": int(last["follower_transitions"]),
        }

    def _refer(self, reference: Reference, game: Game, follower: Follower) -> dict[str, Any]:
        """The commitment of a reference player, measured like any other; nothing is trained."""
        try:
            solved = _Solved(game, true_temperature(follower), self.game.identity)
            commitment, note = _reference_commitment(reference, solved)
        except UnsupportedGameError as error:
            return {"status": "unavailable", "note": str(error)}
        follower.begin(game, seed=self.derived_seed("match", self.follower.identity))
        return {"status": "done", "note": note, "evaluations": self._measure(game, commitment, follower)}

    def _measure(self, game: Game, commitment: Commitment, follower: Follower) -> tuple[Evaluation, ...]:
        episodes = self.rules.evaluation_episodes
        best = evaluate_best(BEST, game, commitment, true_temperature(follower))
        rows = [] if best is None else [best]
        seed = self.derived_seed("evaluation", self.follower.identity)
        answer = follower.respond(game, commitment)  # with what it remembers of the training
        rows.append(evaluate(OWN, game, commitment, follower, seed=seed, episodes=episodes, answer=answer))
        for stranger in self.held_out:
            seed = self.derived_seed("evaluation", stranger.identity)
            rows.append(evaluate(stranger.label, game, commitment, stranger.build(), seed=seed, episodes=episodes))
        return tuple(rows)


def traceback_text() -> str:
    """The traceback of the exception at hand; what no file can hold of it is written as an escape."""
    return traceback.format_exc().encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True)
class _Solved:
    """A game against a follower at a temperature; all that is compared decides what its references are."""

    game: Game = field(compare=False)
    temperature: float | None
    identity: str


@lru_cache(maxsize=4)
def _reference_commitment(reference: Reference, solved: _Solved) -> tuple[Commitment, str]:
    """A reference player, found once for all followers of a temperature."""
    game = solved.game
    if reference.kind == "optimum":
        return optimal_commitment(game, solved.temperature, seed=0)
    if reference.kind == "deterministic":
        return deterministic_commitment(game, solved.temperature, seed=0)
    commitment = initial_commitment(game)
    return commitment, "" if isinstance(commitment, TabularPolicy) else "the game's standard first commitment"


class _Curve:
    """Callback of the training loop: measures the recommendation at equal steps of transitions."""

    def __init__(self, game: Game, temperature: float | None, rules: MatchRules, check: Callable[[], None]) -> None:
        self.game, self.temperature, self.check = game, temperature, check
        self.step = rules.budget / max(rules.points, 1)
        self.enabled = rules.points > 0
        self.spent: list[int] = []
        self.values: list[float] = []
        self.played: list[float] = []

    def __call__(self, record: Mapping[str, float], leader: Leader) -> None:
        self.check()
        self.played.append(record["leader_return"])
        if self.enabled and record["transitions"] >= self.step * (len(self.spent) + 1) - 1e-9:
            self._measure(int(record["transitions"]), leader)

    def finish(self, transitions: float, leader: Leader) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """The curve, with its end at the end of the training."""
        if self.enabled and (not self.spent or self.spent[-1] < transitions):
            self._measure(int(transitions), leader)
        return tuple(self.spent), tuple(self.values)

    def _measure(self, transitions: int, leader: Leader) -> None:
        best = best_payoff(self.game, leader.recommendation, self.temperature)
        value = sum(self.played) / len(self.played) if best is None else best
        self.played.clear()
        self.spent.append(transitions)
        self.values.append(value)


@contextmanager
def deadline(timeout: float | None) -> Iterator[Callable[[], None]]:
    """Give up after ``timeout`` seconds.

    By a signal where the platform has one and this is the main thread, so that a follower that
    never answers is interrupted too; otherwise only between iterations, by the yielded function.
    """
    if timeout is None:
        yield lambda: None
        return
    end = time.monotonic() + timeout
    error = MatchTimeoutError(f"the match took longer than {timeout:g} s")

    def check(*_: object) -> None:
        if time.monotonic() >= end:
            raise error

    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = signal.signal(signal.SIGALRM, check)
    try:
        signal.setitimer(signal.ITIMER_REAL, timeout, 0.1)  # again and again: a library may swallow one
        yield check
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
