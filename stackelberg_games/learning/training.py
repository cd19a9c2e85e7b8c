"""The decentralised loop: respond, play, hand over what the leader may see, update."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stackelberg_games import checks
from stackelberg_games._version import __version__
from stackelberg_games.adapters.aec import as_game
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
from stackelberg_games.kinds.preference import require_paid_by_stage
from stackelberg_games.learning import restored
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.learning.information import Information, grant
from stackelberg_games.learning.interview import Held, Session, session_of
from stackelberg_games.learning.leader import Leader, Told, told
from stackelberg_games.learning.powers import Lent
from stackelberg_games.learning.registry import make_follower, make_leader, refusals_named
from stackelberg_games.learning.run import (
    SETTINGS,
    STATE,
    Record,
    Run,
    read_history,
    read_settings,
    seal,
    writable,
    write_history,
    write_settings,
)
from stackelberg_games.learning.score import Score, score
from stackelberg_games.numerics import checkpoint
from stackelberg_games.numerics.randomness import check_seed, generator
from stackelberg_games.numerics.threads import single_threaded
from stackelberg_games.play.rollout import PointResponse, TabularResponse
from stackelberg_games.progress import progress_of
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Ledger
from stackelberg_games.rules.rules import require_lasting
from stackelberg_games.settings import checked

if TYPE_CHECKING:
    from pettingzoo import AECEnv

REHEARSALS = 2
"""Iterations that are played to see what the state of a match looks like: one shows what it has, a second what grows."""
Callback = Callable[[Mapping[str, float], Leader], None]


@checked
@single_threaded()
def train(
    game: Game | AECEnv[Any, Any, Any],
    leader: Leader | str,
    follower: Follower | str | Any,
    *,
    iterations: int = 500,
    episodes: int = 3,
    stages: int | None = None,
    budget: int | None = None,
    seed: int = 0,
    commitment: Commitment | None = None,
    temperature: Told = None,
    evaluate_every: int = 10,
    score_episodes: int = 0,
    follower_updates: int | None = None,
    directory: str | Path | None = None,
    checkpoint_every: int = 50,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> Run:
    """Train a leader against a follower.

    In every iteration the follower responds to the leader's commitment, ``episodes`` episodes are
    played, and the leader is handed what its information class grants, nothing more. The loop computes
    with one thread; for several seeds take several processes.

    Args:
        game: the rules, or a plain AEC environment with the agents leader_0 and follower_0; ``sg.adapt`` says who is
            who in any other, and its discounts and horizon.
        leader: an id, or a leader object.
        follower: an id, a follower object, or a policy that another library has trained, which stays as it is (see
            ``black_box``).
        iterations: number of updates, >= 1.
        episodes: played in each iteration, >= 1.
        stages: cut episodes here, at the horizon or before; see ``rollout``.
        budget: transitions the leader may play; it stops before a batch could exceed them.
        seed: of the whole match; integer in [0, 2**63).
        commitment: to start from; the leader's default if not given.
        temperature: what the leader believes of the follower; the truth, as the follower declares
            it, if not given; ``"estimated"`` where it is to find it out from the replies.
        evaluate_every: iterations between exact evaluations (finite games only; for the record, the
            leader never sees them); 0 for none.
        score_episodes: play so many with the recommendation in the end, after the follower has settled on it, for
            ``Run.score``; 0 for none. What follows from a stored run does not depend on it.
        follower_updates: tracking: the follower takes so many updates an iteration (see ``Follower.tracking``) and is never
            solved, as single-loop methods assume; ``Run.regret`` counts what that costs. As the follower is if not given.
        directory: keeps the run on disk. A run that was killed continues from its last checkpoint
            when called again with the same arguments, to the same numbers; one that is finished is read, also
            where nobody may write.
        checkpoint_every: iterations between checkpoints.
        callbacks: called with each record and the leader.
        progress: show a bar; by default where standard error is a terminal, and elsewhere a line is logged now and then.

    Raises:
        InvalidArgumentError, InformationError, UnsupportedGameError: before anything is played.
        CheckpointError: ``directory`` holds another run or a damaged one.
    """
    iterations = checks.integer("iterations", iterations, 1)
    checkpoint_every = checks.integer("checkpoint_every", checkpoint_every, 1)
    budget = None if budget is None else checks.integer("budget", budget, 1)
    score_episodes = checks.integer("score_episodes", score_episodes, 2) if score_episodes else 0
    folder = None if directory is None else checks.path("directory", directory)
    partner = _follower(follower)
    if follower_updates is not None:
        partner = partner.tracking(checks.integer("follower_updates", follower_updates, 1))
    match = _Loop(
        as_game(game),
        make_leader(leader) if isinstance(leader, str) else leader,
        partner,
        check_seed(seed),
        checks.integer("episodes", episodes, 1),
        None if stages is None else checks.integer("stages", stages, 1),
        checks.integer("evaluate_every", evaluate_every, 0),
    )
    horizon = match.game.horizon
    if stages is not None and horizon is not None and stages > horizon:
        raise InvalidArgumentError(f"stages={stages!r}: episodes of {match.game.name} have {horizon} stages")
    if score_episodes:
        require_paid_by_stage(match.game)
    if not match.affords(budget):
        raise InvalidArgumentError(f"budget={budget!r}: less than one batch of {episodes} episodes can take")
    with match.follower, ExitStack() as ending:
        match.begin(commitment, temperature)
        ending.callback(match.close)
        settings = match.settings(temperature)
        if folder is not None:
            require_lasting(match.game)
        with writable(folder) as kept, progress_of("iterations", iterations, progress) as advance:
            if folder is not None:
                match.resume(folder, settings)
            if kept is not None:
                match.playing.keep(kept)
            while match.iteration < iterations and match.affords(budget):
                if kept != folder:
                    raise CheckpointError(f"{folder} cannot be written to; its run has {match.iteration} iterations")
                record = match.play_or_keep(kept)
                for callback in callbacks:
                    callback(record, match.leader)
                advance(match.iteration, _value_of(record))
                if kept is not None and match.iteration % checkpoint_every == 0:
                    match.store(kept)
            run = Run(settings, match.history, match.leader.recommendation, match.recommended_value())
            if kept is not None:
                match.store(kept)
            if score_episodes:
                run.score = match.scored(run.commitment, score_episodes)
            if kept is not None:
                run.save(kept)
    return run


def _value_of(record: Record) -> str:
    """The leader's value in a record, where it was evaluated, for the progress."""
    known = [record[name] for name in ("recommended_value", "leader_value") if name in record]
    return f"leader value {known[0]:.4g}" if known else ""


def _follower(follower: Any) -> Follower:
    """A follower by id, as it is, or a policy object as one that plays it."""
    if isinstance(follower, str):
        return make_follower(follower)
    if follower is None:
        raise InvalidArgumentError("follower=None: expected an id, a follower or a policy")
    return follower if isinstance(follower, Follower) else make_follower("black_box", policy=follower)


@dataclass
class _Loop:
    """One leader, one follower, one game, one seed, and how far it has come."""

    game: Game
    leader: Leader
    follower: Follower
    seed: int
    episodes: int
    stages: int | None
    evaluate_every: int
    history: list[Record] = field(default_factory=list)
    transitions: int = 0
    follower_transitions: int = 0
    playing: Session = field(init=False)
    ledger: Ledger | None = None
    lent: Lent | None = None

    @property
    def iteration(self) -> int:
        return len(self.history)

    def affords(self, budget: int | None) -> bool:
        """Whether one more batch fits into the budget however long its episodes last."""
        longest = self.game.stages() if self.stages is None else self.stages
        batches = 1 + self.leader.further_batches
        return budget is None or self.transitions + batches * self.episodes * longest <= budget

    def begin(self, commitment: Commitment | None, temperature: Told) -> None:
        self.given = commitment, temperature
        self.ledger = self.game.ledger()
        believed = self.follower.declared_temperature if temperature is None else temperature
        with refusals_named("leader", self.leader, self.game):
            view = told(self.game, self.leader, believed, self.ledger)
            self.leader.begin(view, seed=self.seed, commitment=commitment)
        with refusals_named("follower", self.follower, self.game):
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
            "leader_return": float(batch.leader_returns(self.game.leader_discount).mean()),
            "follower_return": float(batch.follower_returns(self.game.follower_discount).mean()),
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
        twin = replace(self, follower=self.follower.rehearsal(self.game), evaluate_every=0, history=[])
        twin.playing = self.playing.rehearsal()
        try:
            for _ in range(REHEARSALS):
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
