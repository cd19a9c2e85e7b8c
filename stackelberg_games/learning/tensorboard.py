"""Optional TensorBoard log of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stackelberg_games.errors import MissingExtraError
from stackelberg_games.learning.leader import Leader


class TensorBoardWriter:
    """Callback of ``train`` that writes every figure of every record as a scalar.

    Args:
        directory: where event files go.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, directory: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("tensorboard", "tensorboard") from error
        self.writer = SummaryWriter(str(directory))

    def __call__(self, record: Mapping[str, float], leader: Leader) -> None:
        """Write one record at its number of transitions."""
        for name, value in record.items():
            if name not in ("iteration", "transitions"):
                self.writer.add_scalar(name, value, int(record["transitions"]))

    def close(self) -> None:
        """Flush and close the event file."""
        self.writer.close()
