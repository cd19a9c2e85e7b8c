"""What a match left behind, and its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stackelberg_games import checks, display, files
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.store import restore
from stackelberg_games.errors import CheckpointError, InvalidArgumentError
from stackelberg_games.frames import frame
from stackelberg_games.learning import plots, restored
from stackelberg_games.learning.score import Score
from stackelberg_games.numerics import checkpoint
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.settings import checked

Record = dict[str, float]

SETTINGS, HISTORY, STATE, RESULT = "settings.json", "history.jsonl", "checkpoint.bin", "commitment.bin"
LOCK = "run.lock"


@contextmanager
def writable(folder: Path | None) -> Iterator[Path | None]:
    """The right to write into the folder of a run; None where there is none, or nobody may write to it."""
    if folder is None or files.is_read_only(folder):
        yield None
    else:
        with files.FolderLock(folder, LOCK, CheckpointError):
            yield folder


@dataclass(repr=False)
class Run:
    """What a match of one leader against one follower left behind.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> run = sg.train(
        ...     game, "bchg", "soft_value_iteration", iterations=20, seed=0, progress=False
        ... )
        >>> iterations, values = run.column("recommended_value")
        >>> iterations, values[-1] > values[0]
        ([0, 10], True)
        >>> run.history[-1]["transitions"], run.settings["seed"]
        (9000, 0)

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

    def __repr__(self) -> str:
        """Who played what, how long, and what came of it."""
        return f"Run({self._title}: {len(self.history)} iterations, value {self.value})"

    def _repr_html_(self) -> str:
        """The last record, in a notebook."""
        last = self.history[-1] if self.history else {}
        return display.table(self._title, ["figure", "last"], [*last.items(), ("value of the commitment", self.value)])

    def to_frame(self) -> Any:
        """The history as a ``pandas.DataFrame``, a row for each iteration; needs the extra ``frames``.

        Columns are ``seed`` and the figures of ``history``; what was not recorded in an iteration is missing there.
        """
        seed = self.settings.get("seed")
        columns = dict.fromkeys(["seed", *(name for record in self.history for name in record)])
        return frame(({"seed": seed, **record} for record in self.history), list(columns))

    def plot(self, axes: Any = None, **options: Any) -> Any:
        """Draw the learning curve; returns Matplotlib axes.

        Args:
            axes: to draw on; new ones that notebooks show if None.
            options: of ``plots.draw_curves``: ``figure``, ``horizontal``, ``optimum``, ``regret``, ``confidence``.
        """
        return plots.draw_curves({self._title: [self]}, axes, **options)

    @property
    def _title(self) -> str:
        leader, follower, game = (
            str(self.settings.get(part, {}).get(fact, "?")).rpartition(".")[2]
            for part, fact in (("leader", "class"), ("follower", "class"), ("game", "name"))
        )
        return f"{leader} against {follower} in {game}"

    @checked
    def column(self, name: str) -> tuple[list[int], list[float]]:
        """Iterations at which a figure was recorded, and its values."""
        rows = [(int(row["iteration"]), row[name]) for row in self.history if name in row]
        return [row[0] for row in rows], [row[1] for row in rows]

    @checked
    def regret(self, optimum: float) -> tuple[FloatArray, FloatArray]:
        """What the leader has lost against an optimum that it could have played from the start.

        Args:
            optimum: the best value known, as that of ``exact.solve``.

        Returns:
            Transitions of leader and follower together after each iteration, ``[K]``, and the sum so far of ``optimum``
            less the value of what was played, ``[K]``; values between evaluations are interpolated.

        Raises:
            InvalidArgumentError: what was played was never evaluated (``evaluate_every=0``, or no finite game).
        """
        at, values = self.column("leader_value")
        if not at:
            raise InvalidArgumentError(
                "regret needs the exact values of what was played: train in a finite game with evaluate_every=1"
            )
        spent = np.array([row["transitions"] + row["follower_transitions"] for row in self.history])
        lost = optimum - np.interp(np.arange(len(self.history)), at, values)
        return spent, np.cumsum(lost)

    def save(self, directory: str | Path) -> None:
        """Store settings, history and commitment; each file is replaced in one step."""
        folder = checks.path("directory", directory)
        write_settings(folder, self.settings)
        stored = {
            "description": self.commitment.describe(),
            "state": dict(self.commitment.state_dict()),
            "value": self.value,
            "score": None if self.score is None else asdict(self.score),
            "settings": _digest(_settings_text(self.settings)),
            "history": write_history(folder, self.history),
        }
        checkpoint.save(folder / RESULT, stored)

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
        folder = checks.path("directory", directory)
        file = folder / RESULT
        stored = checkpoint.load(file)
        expected = {"state": {}, "settings": "", "history": seal(b"", 0)}
        described = isinstance(stored, dict) and isinstance(stored.get("description"), dict)
        plain = {**stored, "description": None} if described else stored  # which may hold infinite bounds
        some = {"value": 0.0, "score": asdict(Score(0.0, 0.0, 0.0, 1, True, 0, 2))}
        restored.check(str(file), plain, expected | some, expected | dict.fromkeys(some))
        if commitment is not None and not isinstance(commitment, Commitment):
            raise InvalidArgumentError(f"commitment={checks.shown(commitment)}: expected an object of the stored class")
        target = _rebuilt(file, stored["description"]) if commitment is None else commitment
        restored.check(f"{file}: commitment", stored["state"], dict(target.state_dict()))
        target.load_state_dict(stored["state"])
        settings = read_settings(folder)
        if _digest(_settings_text(settings)) != stored["settings"]:
            raise CheckpointError(f"{folder / SETTINGS} was altered: its digest does not match")
        score = None if stored["score"] is None else Score(**stored["score"])
        return cls(settings, read_history(folder, stored["history"]), target, stored["value"], score)


def _rebuilt(file: Path, description: dict[str, Any]) -> Commitment:
    """A commitment as it was described, which may be damaged in any way."""
    try:
        return restore(description)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{file}: the commitment cannot be rebuilt: {type(error).__name__}: {error}") from error


def seal(data: bytes, records: int) -> dict[str, Any]:
    """What tells later whether a history is as it was: the number of records, and a digest of their lines."""
    return {"records": records, "digest": _digest(data)}


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Store what identifies a run."""
    files.write_atomically(folder / SETTINGS, _settings_text(settings))


def write_history(folder: Path, history: list[Record]) -> dict[str, Any]:
    """Store one JSON record a line; returns the seal."""
    lines = "".join(json.dumps(record) + "\n" for record in history).encode()
    files.write_atomically(folder / HISTORY, lines)
    return seal(lines, len(history))


def read_settings(folder: Path) -> dict[str, Any]:
    """What ``write_settings`` stored; raises ``CheckpointError`` if it cannot be read."""
    file = folder / SETTINGS
    settings = files.parse_json(files.read_text(file, CheckpointError), str(file), CheckpointError)
    if not isinstance(settings, dict):
        raise CheckpointError(f"{file} does not hold the settings of a run")
    return settings


def read_history(folder: Path, sealed: dict[str, Any]) -> list[Record]:
    """The sealed records; later ones, which a killed run had still written, do not count.

    Raises:
        CheckpointError: the file cannot be read, is truncated, or was altered.
    """
    file, records = folder / HISTORY, sealed["records"]
    try:
        lines = file.read_bytes().splitlines(keepends=True)[: max(records, 0)]
    except OSError as error:
        raise CheckpointError(f"cannot read {file}: {error.strerror or error}") from error
    if len(lines) < records:
        raise CheckpointError(f"{file} is truncated: {len(lines)} of {records} records")
    if seal(b"".join(lines), records) != sealed:
        raise CheckpointError(f"{file} was altered: its digest does not match")
    return [files.parse_json(line, str(file), CheckpointError) for line in lines]


def _settings_text(settings: dict[str, Any]) -> bytes:
    return json.dumps(settings, indent=2).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
