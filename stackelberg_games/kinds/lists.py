"""Successor lists as users have them: padded arrays, compressed sparse rows, a function, a dictionary."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from stackelberg_games import checks
from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.kinds.reading import plain
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.numerics.randomness import compiled
from stackelberg_games.numerics.sampling import ROW_SUM_TOLERANCE

BYTES_PER_ENTRY, BYTES_PER_CELL = 21, 32
"""Of a listed successor and of a cell with its two rewards, as ``docs/howto/large_games.md`` adds them up."""

LARGEST = 2**31 - 1
"""States are numbered by 32 bits."""

Outcomes = Iterable[tuple[Any, ...]]
"""(probability, next state, leader's reward, follower's reward), and optionally whether the episode ends."""


class ListedGame(NamedTuple):
    """What a game is made of.

    Attributes:
        lists: successors and probabilities.
        leader_reward, follower_reward: ``[S, A, B]``.
        terminal: bool ``[S]``; None where nothing was said.
    """

    lists: SuccessorLists
    leader_reward: FloatArray
    follower_reward: FloatArray
    terminal: BoolArray | None


def check_memory(shape: tuple[int, int, int], entries: float) -> None:
    """Raise ``InvalidGameError`` where a game of so many listed successors would not fit."""
    cells = math.prod(float(size) for size in shape)
    needed = BYTES_PER_ENTRY * entries + BYTES_PER_CELL * cells
    if needed > checks.memory():
        raise InvalidGameError(
            f"{entries:.3g} successors of {cells:.3g} cells (s, a, b) would take {needed / 1e9:,.1f} GB, more than the "
            f"{checks.memory() / 1e9:,.1f} GB of this machine; list fewer of them, or fewer states"
        )


def read_successors(successors: ArrayLike, probability: ArrayLike) -> SuccessorLists:
    """Lists from arrays ``[S, A, B, K]``; entries of probability zero are padding.

    Raises:
        InvalidGameError: a shape, a state or a probability is out of range, or they would not fit.
    """
    numbers = _plain_numbers("successors", successors)
    if numbers.ndim != 4 or 0 in numbers.shape or numbers.dtype.kind not in "iu":
        raise InvalidGameError(
            f"successors has shape {numbers.shape} and dtype {numbers.dtype}: expected integers [S, A, B, K], no empty axis"
        )
    states, actions, replies, width = numbers.shape
    check_memory((states, actions, replies), float(numbers.size))
    _check_states(numbers, states, "successors[s, a, b, k]")
    chances = checks.array("probability", probability, numbers.shape, finite=False, error=InvalidGameError)
    first = np.arange(0, numbers.size + 1, width, dtype=np.int64)
    lists = SuccessorLists((states, actions, replies), first, numbers.astype(np.int32).ravel(), chances.ravel())
    return checked_lists(lists)


def read_csr(transition: Any, shape: tuple[int, ...]) -> SuccessorLists:
    """Lists from a SciPy sparse matrix ``[S * A * B, S]``, row (s * A + a) * B + b.

    Raises:
        InvalidGameError: it is no sparse matrix, or of another shape, or its rows are no distributions.
    """
    if len(shape) != 3 or 0 in shape:
        raise InvalidGameError(f"leader_reward has shape {shape}: expected [S, A, B], no empty axis")
    if not scipy.sparse.issparse(transition) or transition.dtype.kind not in "biuf":
        kind = f" of {transition.dtype}" if scipy.sparse.issparse(transition) else ""
        raise InvalidGameError(
            f"transition is {type(transition).__name__}{kind}: expected a SciPy sparse matrix of real numbers"
        )
    expected = (math.prod(shape), shape[0])
    if transition.shape != expected:
        raise InvalidGameError(
            f"transition has shape {transition.shape}: expected [S * A * B, S] = {expected} beside rewards of shape {shape}"
        )
    check_memory(shape, float(transition.nnz))
    try:  # SciPy takes arrays without a look at them, and its compiled code reads wherever they say
        if hasattr(transition, "check_format"):
            transition.check_format(full_check=True)
        rows = scipy.sparse.csr_array(transition, dtype=np.float64, copy=True)
        rows.check_format(full_check=True)
    except ValueError as error:
        raise InvalidGameError(f"transition is no matrix that can be read: {error}") from error
    rows.sum_duplicates()
    first = rows.indptr.astype(np.int64)
    lists = SuccessorLists((shape[0], shape[1], shape[2]), first, rows.indices.astype(np.int32), rows.data)
    return checked_lists(lists)


def checked_lists(lists: SuccessorLists) -> SuccessorLists:
    """Lists whose rows are distributions, read-only.

    Raises:
        InvalidGameError: a probability is negative or no number, or those of a cell do not sum to one.
    """
    check_listed("probability", lists)
    for array in (lists.first, lists.successors, lists.probability):
        array.setflags(write=False)
    return lists


def check_listed(name: str, lists: SuccessorLists) -> None:
    """Raise ``InvalidGameError`` unless the probabilities of every cell are a distribution."""
    cell = int(_wrong_cell(lists.first, lists.probability, ROW_SUM_TOLERANCE))
    if cell < 0:
        return
    where = [int(i) for i in np.unravel_index(cell, lists.shape)]
    row = lists.probability[lists.first[cell] : lists.first[cell + 1]]
    wrong = np.flatnonzero(~(row >= 0) | ~np.isfinite(row))
    if wrong.size:
        k = int(wrong[0])
        raise InvalidGameError(f"{name}{[*where, k]} is {row[k]:.12g}: expected a probability >= 0")
    raise InvalidGameError(f"{name}{where} sums to {row.sum():.12g}, not to 1; normalise the row")


def read_function(
    step: Callable[[Any, int, int], Any],
    shape: tuple[int, int, int],
    *,
    vectorised: bool = False,
) -> ListedGame:
    """Lists from a function of a state and both actions; see ``TabularGame.from_function``.

    Raises:
        InvalidGameError: an outcome is no outcome, or a state is entered both as an end and not as one; or the shape is
            none, or the game would not fit.
    """
    if not isinstance(shape, Sequence) or len(shape) != 3:
        raise InvalidGameError(f"shape={checks.shown(shape)}: expected the numbers (S, A, B)")
    if not callable(step):
        raise InvalidGameError(f"step={checks.shown(step)}: expected a function of a state and both actions")
    limits = (LARGEST, None, None)
    states, actions, replies = (
        checks.integer(f"shape[{i}]", shape[i], 1, most, error=InvalidGameError) for i, most in enumerate(limits)
    )
    shape = (states, actions, replies)
    check_memory(shape, float(states) * actions * replies)
    return _read_batches(step, shape) if vectorised else _read_outcomes(step, shape)


def _read_batches(step: Callable[[Any, int, int], Any], shape: tuple[int, int, int]) -> ListedGame:
    """One call for all states: (successors [S, K], probability [S, K], leader's rewards [S], follower's [S])."""
    states, actions, replies = shape
    everything = np.arange(states)
    leader, follower = np.empty(shape), np.empty(shape)
    successors: Any = None
    chances: Any = None
    for a in range(actions):
        for b in range(replies):
            found = step(everything, a, b)
            if not isinstance(found, tuple) or len(found) != 4:
                raise InvalidGameError(
                    f"step(states, {a}, {b}) returned {checks.shown(found)}: expected (successors [S, K], probability "
                    "[S, K], leader rewards [S], follower rewards [S])"
                )
            numbers = _plain_numbers(f"successors of step(states, {a}, {b})", found[0])
            if successors is None:
                width = numbers.shape[1] if numbers.ndim == 2 else 0
                check_memory(shape, float(states) * actions * replies * width)
                successors = np.empty((*shape, width), dtype=np.int32)
                chances = np.empty(successors.shape)
            if not numbers.size or numbers.shape != successors[:, a, b].shape or numbers.dtype.kind not in "iu":
                raise InvalidGameError(
                    f"step(states, {a}, {b}): successors have shape {numbers.shape} and dtype {numbers.dtype}, expected "
                    f"integers [{states}, K], the same K >= 1 for all actions"
                )
            _check_states(numbers, states, f"successors of step(states, {a}, {b})[s, k]")
            successors[:, a, b] = numbers
            chances[:, a, b] = checks.array(
                "probability", found[1], numbers.shape, finite=False, error=InvalidGameError
            )
            leader[:, a, b] = checks.array("leader rewards", found[2], (states,), error=InvalidGameError)
            follower[:, a, b] = checks.array("follower rewards", found[3], (states,), error=InvalidGameError)
    return ListedGame(read_successors(successors, chances), leader, follower, None)


def _read_outcomes(step: Callable[[Any, int, int], Outcomes], shape: tuple[int, int, int]) -> ListedGame:
    """One call for each cell, with a list of outcomes."""
    states = shape[0]
    numbers: list[int] = []
    chances: list[float] = []
    first = [0]
    leader, follower = np.zeros(shape), np.zeros(shape)
    entered: dict[int, tuple[bool, tuple[int, int, int]]] = {}
    for s, a, b in np.ndindex(*shape):
        outcomes = step(s, a, b)
        if not isinstance(outcomes, Iterable):
            raise InvalidGameError(f"step{(s, a, b)} returned {checks.shown(outcomes)}: expected a list of outcomes")
        paid_for: list[tuple[float, float, float]] = []
        for outcome in outcomes:
            chance, following, paid, reward, over = _outcome(outcome, (s, a, b), states)
            if over is not None and chance > 0:
                before, where = entered.setdefault(following, (over, (s, a, b)))
                if before != over:
                    with_flag, without = ((s, a, b), where) if over else (where, (s, a, b))
                    raise InvalidGameError(
                        f"state {following} is entered with the terminal flag from (s, a, b) = {with_flag} and without it "
                        f"from {without}: let the moves that end the episode lead to a state of their own"
                    )
            numbers.append(following)
            chances.append(chance)
            paid_for.append((chance, paid, reward))
        leader[s, a, b] = mean([(chance, paid) for chance, paid, _ in paid_for])
        follower[s, a, b] = mean([(chance, reward) for chance, _, reward in paid_for])
        first.append(len(numbers))
    terminal = None
    if entered:
        terminal = np.zeros(states, dtype=np.bool_)
        terminal[[state for state, (over, _) in entered.items() if over]] = True
    lists = SuccessorLists(
        shape, np.array(first, dtype=np.int64), np.array(numbers, dtype=np.int32), np.array(chances, dtype=np.float64)
    )
    return ListedGame(checked_lists(lists), leader, follower, terminal)


def mean(outcomes: Sequence[tuple[float, float]]) -> float:
    """Of values with their probabilities, in whatever order; exactly what all of them are where they are alike: ties stay ties."""
    values = {value for chance, value in outcomes if chance > 0}
    return values.pop() if len(values) == 1 else math.fsum(chance * value for chance, value in outcomes)


def _outcome(outcome: Any, cell: tuple[int, int, int], states: int) -> tuple[float, int, float, float, bool | None]:
    """One outcome of ``step``, checked."""
    name = f"step{cell}"
    if not isinstance(outcome, tuple | list) or len(outcome) not in (4, 5):
        raise InvalidGameError(
            f"{name} returned the outcome {checks.shown(outcome)}: expected (probability, next state, leader reward, "
            "follower reward), and optionally whether the episode ends"
        )
    chance = checks.number(f"{name} probability", outcome[0], 0, error=InvalidGameError)
    following = checks.integer(f"{name} next state", outcome[1], 0, states - 1, error=InvalidGameError)
    paid, reward = (
        checks.number(f"{name} {whose} reward", value, error=InvalidGameError)
        for whose, value in zip(("leader", "follower"), outcome[2:4], strict=True)
    )
    over = checks.flag(f"{name} terminal flag", outcome[4], error=InvalidGameError) if len(outcome) == 5 else None
    return chance, following, paid, reward, over


def _plain_numbers(name: str, values: Any) -> IntArray:
    """Numbers of states as an array of any kind; raise ``InvalidGameError`` where some of them are masked."""
    array = plain(name, values)
    if isinstance(array, np.ma.MaskedArray):
        raise InvalidGameError(f"{name} is a masked array: fill the masked entries first")
    return np.asarray(array)


def _check_states(numbers: IntArray, states: int, name: str) -> None:
    if states > LARGEST:
        raise InvalidGameError(f"{states} states: expected at most {LARGEST}")
    if numbers.min() < 0 or numbers.max() >= states:
        where = np.argwhere((numbers < 0) | (numbers >= states))[0]
        place = [int(i) for i in where]
        raise InvalidGameError(
            f"{name} is {int(numbers[tuple(where)])}: expected 0 to {states - 1}; the first such entry is {place}"
        )


@compiled
def _wrong_cell(first: Any, probability: Any, tolerance: float) -> int:
    """The first cell whose probabilities are no distribution, or -1."""
    for cell in range(first.shape[0] - 1):
        total = 0.0
        for k in range(first[cell], first[cell + 1]):
            if not probability[k] >= 0.0:
                return cell
            total += probability[k]
        if not abs(total - 1.0) <= tolerance:
            return cell
    return -1
