"""What a match left behind, and its files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stackelberg_games.commitments.store import restore
from stackelberg_games.errors import CheckpointError
from stackelberg_games.learning.score import Score
from stackelberg_games.numerics import checkpoint
from stackelberg_games.rules.commitment import Commitment

Record = dict[str, float]

SETTINGS, HISTORY, STATE, RESULT = "settings.json", "history.jsonl", "checkpoint.bin", "commitment.bin"


@dataclass
class Run:
    """What a match of one leader against one follower left behind.

    Attributes:
        settings: game, leader, follower, loop and version, as stored with the run.
        history: one record for each iteration: ``iteration``, ``transitions`` (cumulative),
            ``follower_transitions`` (the follower's own, cumulative), ``leader_return`` and
            ``follower_return`` (discounted batch means), figures of the leader, and, where
            evaluated, ``leader_value`` (exact, of what was played) and ``recommended_value``
            (exact, of the recommendation against the follower's optimal response).
        commitment: the leader's recommendation after the last update.
        value: what ``commitment`` is worth to the leader against the follower's optimal response at
            its declared temperature, exactly; None where that is not known.
        score: what ``commitment`` earns in play against the follower once that has settled on it; None where that
            was not asked for.
    """

    settings: dict[str, Any]
    history: list[Record] = field(repr=False)
    commitment: Commitment
    value: float | None = None
    score: Score | None = None

    def column(self, name: str) -> tuple[list[int], list[float]]:
        """Iterations at which a figure was recorded, and its values."""
        rows = [(int(row["iteration"]), row[name]) for row in self.history if name in row]
        return [row[0] for row in rows], [row[1] for row in rows]

    def save(self, directory: str | Path) -> None:
        """Store settings, history and commitment; each file is replaced in one step."""
        folder = Path(directory)
        write_settings(folder, self.settings)
        write_history(folder, self.history)
        state = dict(self.commitment.state_dict())
        played = None if self.score is None else asdict(self.score)
        result = {"description": self.commitment.describe(), "state": state, "value": self.value, "score": played}
        checkpoint.save(folder / RESULT, result)

    @classmethod
    def load(cls, directory: str | Path, commitment: Commitment | None = None) -> Run:
        """Read a finished run; no code is executed.

        Args:
            directory: where it was stored.
            commitment: an object of the stored class to load into; needed only for classes that
                are not this package's own.

        Raises:
            CheckpointError: a file is missing, truncated or altered.
        """
        folder = Path(directory)
        stored = checkpoint.load(folder / RESULT)
        target = restore(stored["description"]) if commitment is None else commitment
        target.load_state_dict(stored["state"])
        played = stored.get("score")
        score = None if played is None else Score(**played)
        return cls(read_settings(folder), read_history(folder), target, stored["value"], score)


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Store what identifies a run."""
    checkpoint.write_atomically(folder / SETTINGS, json.dumps(settings, indent=2).encode())


def write_history(folder: Path, history: list[Record]) -> None:
    """Store one JSON record a line."""
    lines = "".join(json.dumps(record) + "\n" for record in history)
    checkpoint.write_atomically(folder / HISTORY, lines.encode())


def read_settings(folder: Path) -> dict[str, Any]:
    """What ``write_settings`` stored; raises ``CheckpointError`` if it cannot be read."""
    try:
        settings: dict[str, Any] = json.loads((folder / SETTINGS).read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {folder / SETTINGS}: {error}") from error
    return settings


def read_history(folder: Path) -> list[Record]:
    """What ``write_history`` stored; raises ``CheckpointError`` if it cannot be read."""
    try:
        return [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {folder / HISTORY}: {error}") from error
