"""Floor plans drawn as text, and walking on them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError

MOVES = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])
"""Row and column steps of the actions 0 up, 1 right, 2 down, 3 left."""


@dataclass(frozen=True)
class FloorPlan:
    """A grid of walls and free cells; free cells are numbered in reading order.

    Attributes:
        cells: row and column of every free cell, ``[S, 2]``.
        numbers: number of the cell at each row and column, -1 where nobody walks, ``[rows, columns]``.
        marks: for each letter on the plan, the numbers of its cells.
        shelves: where nobody walks because of a shelf, bool ``[rows, columns]``.
    """

    cells: IntArray
    numbers: IntArray
    marks: dict[str, tuple[int, ...]]
    shelves: BoolArray

    @classmethod
    def parse(cls, text: str, letters: str, walls: str = "x#", shelves: str = "") -> FloorPlan:
        """Read a plan: one line a row, walls, blanks or dots for free cells, letters for marked ones.

        Args:
            text: the plan; blank lines before and after it are ignored.
            letters: marks that may appear.
            walls: characters that stand for a wall.
            shelves: characters that stand for a shelf, which is walked around like a wall.

        Raises:
            InvalidGameError: lines of different lengths, an unknown character, or no free cell.
        """
        lines = text.strip("\n").split("\n")
        width = len(lines[0])
        for row, line in enumerate(lines):
            if len(line) != width:
                raise InvalidGameError(
                    f"floor plan: line {row} has {len(line)} characters, line 0 has {width}; pad the lines"
                )
        cells: list[tuple[int, int]] = []
        marks: dict[str, list[int]] = {letter: [] for letter in letters}
        numbers = np.full((len(lines), width), -1, dtype=np.int64)
        shelved = np.array([[character in shelves for character in line] for line in lines], dtype=np.bool_)
        blocking = walls + shelves
        for row, line in enumerate(lines):
            for column, character in enumerate(line):
                if character in blocking:
                    continue
                if character in letters:
                    marks[character].append(len(cells))
                elif character not in " .":
                    raise InvalidGameError(
                        f"floor plan: {character!r} at row {row}, column {column}; expected a wall ({walls}), "
                        f"{f'a shelf ({shelves}), ' if shelves else ''}a blank, a dot or one of {letters}"
                    )
                numbers[row, column] = len(cells)
                cells.append((row, column))
        if not cells:
            raise InvalidGameError("floor plan: no free cell")
        return cls(np.array(cells), numbers, {letter: tuple(found) for letter, found in marks.items()}, shelved)

    @property
    def size(self) -> int:
        """Number of free cells S."""
        return len(self.cells)

    def place(self, cell: int) -> str:
        """Row and column of a cell, for messages."""
        row, column = self.cells[cell]
        return f"row {row}, column {column}"

    def require(self, letter: str, meaning: str) -> tuple[int, ...]:
        """Cells marked by a letter; raise ``InvalidGameError`` if there are none."""
        if not self.marks[letter]:
            raise InvalidGameError(f"floor plan: no {meaning} ({letter!r}) is marked")
        return self.marks[letter]

    def only(self, letter: str, meaning: str) -> int:
        """The one cell marked by a letter; raise ``InvalidGameError`` if there is none or a second one."""
        found = self.require(letter, meaning)
        if len(found) > 1:
            raise InvalidGameError(f"floor plan: a second {meaning} ({letter}) at {self.place(found[1])}")
        return found[0]

    def steps(self) -> IntArray:
        """The cell reached from each cell by each move, ``[S, 4]``; the cell itself at a wall."""
        targets = self.cells[:, None, :] + MOVES[None, :, :]
        rows, columns = targets[..., 0], targets[..., 1]
        height, width = self.numbers.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        found = np.where(inside, self.numbers[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)], -1)
        return np.asarray(np.where(found >= 0, found, np.arange(self.size)[:, None]))

    def passages(self) -> IntArray:
        """Every step between two free cells as (cell, move), ``[P, 2]``; each aisle appears in both directions."""
        return np.argwhere(self.steps() != np.arange(self.size)[:, None])

    def reachable(self, *starts: int, steps: IntArray | None = None) -> BoolArray:
        """Which cells can be reached from one of some, bool ``[S]``."""
        steps = self.steps() if steps is None else steps
        seen = np.zeros(self.size, dtype=np.bool_)
        seen[list(starts)] = True
        queue = deque(starts)
        while queue:
            for neighbour in steps[queue.popleft()]:
                if not seen[neighbour]:
                    seen[neighbour] = True
                    queue.append(int(neighbour))
        return seen

    def check_reachable(self, start: int, letter: str, meaning: str) -> None:
        """Raise ``InvalidGameError`` naming the first marked cell that cannot be reached."""
        seen = self.reachable(start)
        for cell in self.marks[letter]:
            if not seen[cell]:
                raise InvalidGameError(
                    f"floor plan: the {meaning} at {self.place(cell)} cannot be reached from {self.place(start)}"
                )

    def lists(self, slip: float) -> tuple[IntArray, FloatArray]:
        """The cells that moves can lead to and their probabilities, ``[S, 4, 4]`` each; a cell may be listed twice.

        Args:
            slip: see ``kernel``.

        Raises:
            InvalidArgumentError: ``slip`` is outside [0, 1].
        """
        shape = (self.size, 4, 4)
        return np.broadcast_to(self.steps()[:, None, :], shape), np.broadcast_to(strays(slip), shape)

    def kernel(self, slip: float) -> FloatArray:
        """Transitions ``[S, 4, S]`` of moves that go astray.

        Args:
            slip: probability that one of the three other moves is made instead, each equally likely.

        Raises:
            InvalidArgumentError: ``slip`` is outside [0, 1].
        """
        steps, mixing = self.steps(), strays(slip)
        kernel = np.zeros((self.size, 4, self.size))
        for made in range(4):
            kernel[np.arange(self.size)[:, None], np.arange(4)[None, :], steps[:, [made]]] += mixing[:, made]
        return kernel


def strays(slip: float) -> FloatArray:
    """Probability that each move is made when another is meant, ``[4 meant, 4 made]``.

    Raises:
        InvalidArgumentError: ``slip`` is outside [0, 1].
    """
    if not 0 <= slip <= 1:
        raise InvalidArgumentError(f"slip={slip!r}: expected a number in [0, 1]")
    mixing = np.full((4, 4), slip / 3)
    np.fill_diagonal(mixing, 1 - slip)
    return mixing
