"""Playing episodes of a foreign environment, one after the other, by their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from stackelberg_games.adapters.stages import CodedMove, Decision, EpisodeRecord, Lead, decisions, leader_terminated
from stackelberg_games.adapters.table import Table
from stackelberg_games.adapters.turns import Turns
from stackelberg_games.numerics.randomness import Streams, generator
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories


class Responder(Protocol):
    """Whoever plays the follower's side of episodes, one after the other."""

    def begin(self, streams: Streams) -> None:
        """An episode begins."""

    def __call__(self, decision: Decision) -> CodedMove:
        """The action, as it is recorded and in the environment's own form."""

    def end(self, turns: Turns, owed: float) -> None:
        """The episode is over; ``owed`` was paid since the last decision."""


TRIES = 100
"""Episodes in a row in which the leader never moves, after which a game is given up."""


def episode_seed(seed: int, number: int, attempt: int = 0) -> int:
    """The seed that an environment is reset with for an episode; fits 31 bits, as some expect."""
    address = (number, attempt) if attempt else (number,)
    return int(generator(seed, 5, *address).integers(2**31))


def begin(turns: Turns, commitment: Commitment, seed: int) -> None:
    """Begin an episode, in an environment that the leader configures by its configuration as it stands now."""
    configuration = commitment.configuration()
    if configuration is not None:
        turns.env.configure(configuration.detach().numpy().copy())
    turns.reset(seed)


def leading(commitment: Commitment, streams: Streams) -> Lead:
    """The leader as a player of an episode."""

    def act(state: Any, stage: int) -> Any:
        return commitment.sample(np.asarray(state)[None], streams, stage)[0]

    return act


def play_episodes(
    table: Table,
    turns: Turns,
    commitment: Commitment,
    responder: Responder,
    seed: int,
    numbers: Sequence[int],
    stages: int,
) -> list[Trajectories]:
    """Play episodes by their numbers, each a batch of one.

    An episode in which the leader never moves has no stage: another one is played in its place.

    Raises:
        InvalidGameError: that happened a hundred times in a row.
    """
    found = []
    for number in numbers:
        for attempt in range(TRIES):
            streams = Streams.of(seed, 1, number)
            begin(turns, commitment, episode_seed(seed, number, attempt))
            responder.begin(streams)
            record = EpisodeRecord(table)
            random = generator(seed, 9, number, attempt) if table.others else None
            running = decisions(table, turns, leading(commitment, streams), random, stages, record)
            decision = next(running, None)
            while decision is not None:
                decision = resume(running, responder(decision))
            responder.end(turns, record.owed)
            if record.moved:
                break
        found.append(record.finish(table.state(turns), leader_terminated(table, turns), stages))
    return found


def resume(running: Any, move: CodedMove) -> Decision | None:
    """Hand a move over; the next decision, or None at the end of the episode."""
    try:
        decision: Decision = running.send(move)
    except StopIteration:
        return None
    return decision


class Replying:
    """A response policy that answers observations, as a player of episodes.

    Args:
        table: of the game.
        response: its method ``reply(observations, streams, number)`` answers a batch ``[1, ...]`` of what
            ``best_response_env`` shows; where there are masks it takes them as ``masks``, bool ``[1, n]``.
    """

    def __init__(self, table: Table, response: Any) -> None:
        self.table, self.response = table, response

    def begin(self, streams: Streams) -> None:
        """See ``Responder.begin``."""
        self._streams = streams

    def __call__(self, decision: Decision) -> CodedMove:
        """See ``Responder``."""
        table, mask = self.table, decision.mask
        shown = table.shown(decision.agent, decision.observation, decision.pending)[None]
        told: Mapping[str, Any] = {} if mask is None else {"masks": mask[None]}
        code = self.response.reply(shown, self._streams, decision.number, **told)[0]
        return code, table.followers[decision.agent].moves.decode(code)

    def end(self, turns: Turns, owed: float) -> None:
        """Nothing to do."""
