"""Random streams addressed by (seed, episode, lane, stage).

Every episode owns one stream for each lane (the environment, the leader, the follower, ...), and
the draw of a stage is a pure function of its address. Results therefore do not depend on batch
size, worker count or order, and a running episode is restored from three integers.

The generator is SplitMix64 with a stream-specific increment, as in Steele, Lea and Flood,
"Fast splittable pseudorandom number generators", OOPSLA 2014 (mixers of Section 5).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from stackelberg_games import checks
from stackelberg_games.errors import InvalidArgumentError

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile ``function`` with numba; the machine code is cached beside the source file, or for the user.

    Where neither can be written to, every process compiles anew; ``NUMBA_CACHE_DIR`` names a folder that can.
    """
    try:
        return cast(Function, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # no folder to cache in
        return cast(Function, numba.njit(nogil=True)(function))


class Lane(enum.IntEnum):
    """Who draws. Each lane of an episode is an independent stream."""

    ENVIRONMENT = 0
    LEADER = 1
    FOLLOWER = 2
    LEARNING = 3


LANES = np.uint64(8)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A, _MIX_B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_GAMMA_A, _GAMMA_B = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_ALTERNATING = np.uint64(0xAAAAAAAAAAAAAAAA)
_ONE, _S11, _S27, _S30, _S31, _S33 = (np.uint64(k) for k in (1, 11, 27, 30, 31, 33))
_UNIT = 2.0**-53


@compiled
def _mix(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> _S30)) * _MIX_A
    z = (z ^ (z >> _S27)) * _MIX_B
    return z ^ (z >> _S31)


@compiled
def _mix_gamma(z: np.uint64) -> np.uint64:
    """An odd increment with enough bit transitions to give a good stream."""
    z = (z ^ (z >> _S33)) * _GAMMA_A
    z = (z ^ (z >> _S33)) * _GAMMA_B
    z = (z ^ (z >> _S33)) | _ONE
    changes = z ^ (z >> _ONE)
    count = 0
    while changes:
        changes &= changes - _ONE
        count += 1
    return z ^ _ALTERNATING if count < 24 else z


@compiled
def stream(seed: np.uint64, episode: np.uint64, lane: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Start and increment of the stream of one lane of one episode."""
    start = _mix(_mix(seed + GOLDEN) + (episode * LANES + lane + _ONE) * GOLDEN)
    return start, _mix_gamma(start + GOLDEN)


@compiled
def uniform(start: np.uint64, gamma: np.uint64, counter: np.uint64) -> float:
    """Draw number ``counter`` of a stream, in [0, 1), with 53 random bits."""
    return float(_mix(start + (counter + _ONE) * gamma) >> _S11) * _UNIT


@compiled
def one_uniform(seed: int, episode: int, lane: int, counter: int) -> float:
    """Draw number ``counter`` of a lane of one episode; see ``Streams.uniform``."""
    start, gamma = stream(np.uint64(seed), np.uint64(episode), np.uint64(lane))
    return uniform(start, gamma, np.uint64(counter))


@compiled
def _fill(seed: np.uint64, episodes: Any, lane: np.uint64, stage: int, out: Any) -> None:
    draws = out.shape[1]
    for i in range(episodes.shape[0]):
        start, gamma = stream(seed, episodes[i], lane)
        for k in range(draws):
            out[i, k] = uniform(start, gamma, np.uint64(stage * draws + k))


def check_seed(seed: int) -> int:
    """Return ``seed`` if it is an integer in [0, 2**63); raise ``InvalidArgumentError`` if not."""
    if not checks.is_integer(seed) or not 0 <= seed < 2**63:
        raise InvalidArgumentError(f"seed={checks.shown(seed)}: expected an integer in [0, 2**63)")
    return int(seed)


def fresh_seed() -> int:
    """A seed from the operating system's entropy."""
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0]) >> 1


def generator(seed: int, *address: int) -> np.random.Generator:
    """A NumPy generator for learners, addressed like the streams. Its state can be stored."""
    sequence = np.random.SeedSequence(check_seed(seed), spawn_key=address)
    return np.random.Generator(np.random.PCG64(sequence))


@dataclass(frozen=True)
class Streams:
    """The random streams of a batch of episodes.

    Examples:
        >>> import numpy as np
        >>> from stackelberg_games.numerics.randomness import Lane, Streams
        >>> whole = Streams(7, np.arange(4, dtype=np.uint64)).uniform(Lane.ENVIRONMENT, 1)
        >>> half = Streams(7, np.arange(2, 4, dtype=np.uint64)).uniform(Lane.ENVIRONMENT, 1)
        >>> bool((whole[2:] == half).all())
        True

    Args:
        seed: integer in [0, 2**63).
        episodes: episode numbers, uint64 ``[N]``.
    """

    seed: int
    episodes: NDArray[np.uint64]

    @classmethod
    def of(cls, seed: int, episodes: int, first_episode: int = 0) -> Streams:
        """The streams of ``episodes`` consecutive episodes."""
        numbers = np.arange(first_episode, first_episode + episodes, dtype=np.uint64)
        return cls(check_seed(seed), numbers)

    def uniform(self, lane: Lane, stage: int, draws: int = 1) -> NDArray[np.float64]:
        """Uniform draws in [0, 1) of one stage, ``[N, draws]``.

        A lane must be read with the same number of draws at every stage.
        """
        out = np.empty((len(self.episodes), draws))
        _fill(np.uint64(self.seed), self.episodes, np.uint64(lane), stage, out)
        return out

    def normal(self, lane: Lane, stage: int, draws: int = 1) -> NDArray[np.float64]:
        """Standard normal draws of one stage by inversion of ``uniform``, ``[N, draws]``."""
        out = self.uniform(lane, stage, draws)
        np.maximum(out, _UNIT / 2, out=out)
        return np.asarray(ndtri(out, out=out))
