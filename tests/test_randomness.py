"""Streams: uniform, independent, addressable, and the same for ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.numerics.randomness import (
    GOLDEN,
    LANES,
    Lane,
    Streams,
    check_seed,
    compiled,
    fresh_seed,
    generator,
    stream,
    uniform,
)
from tests.checks import FALSE_ALARM, look_uniform

COUNT = 20_000


@compiled
def _sequence(start: Any, gamma: Any, out: Any) -> None:
    for k in range(len(out)):
        out[k] = uniform(start, gamma, np.uint64(k))


def long_stream(seed: int, episode: int, lane: int, count: int = COUNT) -> FloatArray:
    """The first draws of one stream, in order."""
    out = np.empty(count)
    start, gamma = stream(np.uint64(seed), np.uint64(episode), np.uint64(lane))
    _sequence(np.uint64(start), np.uint64(gamma), out)
    return out


def addresses() -> list[tuple[int, int, int]]:
    """Seeds, episodes and lanes that are neighbours or extreme."""
    seeds, episodes = (0, 1, 2, 2**62, 2**63 - 1), (0, 1, 2, 10**6, 2**60)
    return [(seed, episode, int(lane)) for seed in seeds for episode in episodes for lane in Lane]


def test_mixer_reproduces_the_published_splitmix64_sequence() -> None:
    published = (6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431)
    for counter, output in enumerate(published):
        assert uniform(np.uint64(1234567), GOLDEN, np.uint64(counter)) == (output >> 11) * 2.0**-53


def test_every_stream_is_uniform() -> None:
    assert look_uniform([stats.kstest(long_stream(*where), "uniform").pvalue for where in addresses()])


def test_draws_of_one_stage_are_uniform_over_episodes() -> None:
    p_values = [
        stats.kstest(Streams.of(seed, COUNT).uniform(lane, stage)[:, 0], "uniform").pvalue
        for seed in range(5)
        for lane in Lane
        for stage in (0, 1, 99)
    ]
    assert look_uniform(p_values)


def test_every_bit_is_fair() -> None:
    draws = (long_stream(3, 1, 0, 100_000) * 2.0**53).astype(np.uint64)
    for bit in range(53):
        ones = int(((draws >> np.uint64(bit)) & np.uint64(1)).sum())
        assert stats.binomtest(ones, len(draws)).pvalue > FALSE_ALARM / 53


def test_streams_do_not_correlate_with_each_other_or_with_their_own_past() -> None:
    draws = np.stack([long_stream(*where) for where in addresses()])
    correlations = np.asarray(np.corrcoef(draws))[np.triu_indices(len(draws), 1)]
    serial = [np.corrcoef(row[:-lag], row[lag:])[0, 1] for row in draws for lag in (1, 2, 8)]
    assert np.abs([*correlations, *serial]).max() < 5 / np.sqrt(COUNT)


def test_neighbouring_episodes_do_not_correlate_at_any_stage() -> None:
    draws = np.stack([Streams.of(0, COUNT + 1).uniform(Lane.FOLLOWER, t)[:, 0] for t in range(20)])
    for shift in (draws[:, 1:], np.roll(draws, 1, axis=0)[:, :-1]):
        found = [np.corrcoef(a[:COUNT], b[:COUNT])[0, 1] for a, b in zip(draws, shift, strict=True)]
        assert np.abs(found).max() < 5 / np.sqrt(COUNT)


def test_no_value_occurs_twice() -> None:
    draws = np.concatenate([long_stream(*where, 5_000) for where in addresses()])
    assert len(np.unique(draws)) == len(draws)


def test_draws_lie_in_the_half_open_unit_interval() -> None:
    draws = long_stream(1, 1, 1, 100_000)
    assert draws.min() >= 0.0
    assert draws.max() < 1.0


@pytest.mark.parametrize("draws", [1, 3])
def test_random_access_equals_reading_in_order(draws: int) -> None:
    streams = Streams.of(11, 4, first_episode=5)
    stages = [7, 0, 3, 7]
    for stage in stages:
        block = streams.uniform(Lane.LEADER, stage, draws)
        for row, episode in zip(block, range(5, 9), strict=True):
            expected = long_stream(11, episode, Lane.LEADER, 8 * draws)
            assert row.tolist() == expected[stage * draws : (stage + 1) * draws].tolist()


def test_an_episode_draws_the_same_in_any_batch() -> None:
    whole = Streams.of(3, 10).uniform(Lane.ENVIRONMENT, 4)
    assert (Streams.of(3, 4, 6).uniform(Lane.ENVIRONMENT, 4) == whole[6:]).all()
    chosen = Streams(3, np.array([8, 2], dtype=np.uint64))
    assert (chosen.uniform(Lane.ENVIRONMENT, 4) == whole[[8, 2]]).all()


def test_increments_are_odd_and_change_bits_often() -> None:
    for where in addresses():
        _, gamma = stream(*map(np.uint64, where))
        number = int(gamma)
        assert number % 2 == 1
        assert (number ^ (number >> 1)).bit_count() >= 24


def test_lanes_fit_their_share_of_the_address() -> None:
    assert max(Lane) < int(LANES)


def test_draws_of_a_seed_are_pinned() -> None:
    assert Streams.of(2024, 2).uniform(Lane.ENVIRONMENT, 0)[:, 0].tolist() == [0.7317187430639812, 0.5408467224573567]
    assert Streams.of(2024, 1, 9).uniform(Lane.FOLLOWER, 150)[0, 0] == 0.9744098628712355
    assert generator(2024, 1).random() == 0.12380904477931853


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True, "1", None, np.float64(3)])
def test_seeds_must_be_integers_in_range(seed: Any) -> None:
    for use in (check_seed, generator, lambda s: Streams.of(s, 1)):
        with pytest.raises(InvalidArgumentError, match="seed=") as caught:
            use(seed)
        assert repr(seed) in str(caught.value)


@pytest.mark.parametrize("seed", [0, 5, np.int64(7), np.uint8(3), 2**63 - 1])
def test_integers_of_any_kind_are_seeds(seed: int) -> None:
    assert check_seed(seed) == int(seed)
    assert type(check_seed(seed)) is int


def test_generators_have_one_address_each() -> None:
    addresses: list[tuple[int, ...]] = [(), (0,), (1,), (0, 0), (0, 1), (1, 0)]
    seeds = (0, 1, 2**32, 2**32 + 1, 2**33)
    first = [generator(seed, *address).random() for seed in seeds for address in addresses]
    assert len(set(first)) == len(first)
    assert generator(5, 1).random() == generator(5, 1).random()


def test_fresh_seeds_are_valid_and_differ() -> None:
    seeds = {check_seed(fresh_seed()) for _ in range(50)}
    assert len(seeds) == 50
