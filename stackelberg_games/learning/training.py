"""The decentralised loop: respond, play, hand over what the leader may see, update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackelberg_games import checks
from stackelberg_games.adapters.aec import as_game
from stackelberg_games.errors import (
    CheckpointError,
    InvalidArgumentError,
)
from stackelberg_games.kinds.game import Game
from stackelberg_games.kinds.preference import require_paid_by_stage
from stackelberg_games.learning.follower import Follower
from stackelberg_games.learning.leader import Leader, Told
from stackelberg_games.learning.loop import TrainingLoop
from stackelberg_games.learning.registry import make_follower, make_leader
from stackelberg_games.learning.run import (
    Record,
    Run,
    writable,
)
from stackelberg_games.numerics.threads import single_threaded
from stackelberg_games.progress import progress_of
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import require_lasting
from stackelberg_games.settings import checked

if TYPE_CHECKING:
    from pettingzoo import AECEnv

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
    practice: int = 0,
    directory: str | Path | None = None,
    checkpoint_every: int = 50,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> Run:
    """Train a leader against a follower.

    In every iteration the follower responds to the leader's commitment, ``episodes`` episodes are
    played, and the leader is handed what its information class grants, nothing more. The loop computes
    with one thread; for several seeds take several processes.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> run = sg.train(
        ...     game, "bchg", "soft_value_iteration", iterations=50, seed=0, progress=False
        ... )
        >>> print(f"value {run.value:.1f} after {run.history[-1]['transitions']:,} transitions")
        value 27.3 after 22,500 transitions

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
        temperature: what the leader believes of the follower; the truth, as the follower or the game declares it, if not
            given; ``"estimated"`` where it is to find it out from the replies, as it does where nobody declares one.
        evaluate_every: iterations between exact evaluations (finite games only; for the record, the
            leader never sees them); 0 for none.
        score_episodes: play so many with the recommendation in the end, after the follower has settled on it, for
            ``Run.score``; 0 for none. What follows from a stored run does not depend on it.
        follower_updates: tracking: the follower takes so many updates an iteration (see ``Follower.tracking``) and is never
            solved, as single-loop methods assume; ``Run.regret`` counts what that costs. As the follower is if not given.
        practice: how often the follower responds to the first commitment before anything is played, >= 0; one that lags begins
            settled that way, and what it plays for it is counted.
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
    players = make_leader(leader) if isinstance(leader, str) else leader, _follower(follower, follower_updates)
    match = TrainingLoop(as_game(game), *players, seed, episodes, stages, evaluate_every, practice)
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


def _follower(follower: Any, updates: int | None) -> Follower:
    """A follower by id, as it is, or a policy object as one that plays it; tracking where its updates are given."""
    if follower is None:
        raise InvalidArgumentError("follower=None: expected an id, a follower or a policy")
    partner = make_follower(follower) if isinstance(follower, str) else follower
    if not isinstance(partner, Follower):
        partner = make_follower("black_box", policy=follower)
    return partner if updates is None else partner.tracking(checks.integer("follower_updates", updates, 1))
