"""Episodes of a finite game between two policies that are tables, by one compiled loop."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.numerics.randomness import Lane, check_seed, compiled, stream, uniform
from stackelberg_games.numerics.sampling import Sampler, Summing, accumulate, draw, pick
from stackelberg_games.rules.trajectories import BLOCK, Trajectories, check_affordable, width


class _Batch(NamedTuple):
    """Arrays that the compiled loop fills."""

    states: IntArray
    leader_actions: IntArray
    follower_actions: IntArray
    leader_rewards: FloatArray
    follower_rewards: FloatArray
    lengths: IntArray
    terminated: Any

    @classmethod
    def of(cls, episodes: int, stages: int) -> _Batch:
        """Room for so many stages, in which nothing was played."""
        check_affordable(episodes, stages)
        # One block: what is asked for in pieces the allocator hands back, and every page of it costs a fault again.
        block, first = np.empty(episodes * (5 * stages + 1), dtype=np.int64), episodes * (stages + 1)
        states, rest = block[:first].reshape(episodes, -1), block[first:].reshape(4, episodes, stages)
        rewards = rest[2:].view(np.float64)
        ends = np.empty(episodes, dtype=np.int64), np.zeros(episodes, dtype=np.bool_)
        return cls(states, rest[0], rest[1], rewards[0], rewards[1], *ends)

    def resized(self, kept: int, room: int | None = None) -> _Batch:
        """The first ``kept`` stages with room for as many, or for more."""
        if kept == self.leader_actions.shape[1] and room is None:
            return self
        new = _Batch.of(len(self.lengths), room or kept)
        new.states[:, : kept + 1] = self.states[:, : kept + 1]
        for old, array in zip(self[1:5], new[1:5], strict=True):
            array[:, :kept] = old[:, :kept]
        return new._replace(lengths=self.lengths, terminated=self.terminated)


GROWTH = 4
"""Episodes that go on get so many times the room."""
_ENVIRONMENT, _LEADER, _FOLLOWER = (np.uint64(lane) for lane in list(Lane)[:3])


@compiled
def _rows(policy: Any, summing: Summing) -> Any:
    """What is drawn from, flat: a policy's rows, or the sums of them."""
    if summing is None:
        rows = policy.reshape((-1, policy.shape[-1]))
        sums = np.empty(rows.shape)
        accumulate(rows, sums)
        return sums.ravel()
    return policy.ravel()


@compiled
def _roll(sampler: Any, policies: Any, seed: np.uint64, first_episode: np.uint64, out: Any, begin: int) -> int:
    """Play from stage ``begin`` as far as there is room, and write nothing beyond an episode's end; how many have ended.

    Tuples are plain: those with names take twice as long to hand over.
    """
    (
        (leader_count, follower_count),
        first,
        initial,
        successors,
        chances,
        leader_reward,
        follower_reward,
        terminal,
        summing,
    ) = sampler
    states, leader_actions, follower_actions, leader_rewards, follower_rewards, lengths, ends = out
    leader_policy, leader_summing, follower_policy, follower_summing = policies
    leader, follower = _rows(leader_policy, leader_summing), _rows(follower_policy, follower_summing)
    stages, ended = leader_actions.shape[1], 0
    for i in range(states.shape[0]):
        if ends[i]:
            ended += 1
            continue
        episode = first_episode + np.uint64(i)
        e_start, e_gamma = stream(seed, episode, _ENVIRONMENT)
        l_start, l_gamma = stream(seed, episode, _LEADER)
        f_start, f_gamma = stream(seed, episode, _FOLLOWER)
        if begin == 0:
            states[i, 0] = pick(initial, 0, initial.shape[0], uniform(e_start, e_gamma, np.uint64(0)))
        s = states[i, begin]
        lengths[i] = stages
        for t in range(begin, stages):
            counter = np.uint64(t)
            row = s * leader_count
            a = draw(leader, row, leader_count, leader_summing, uniform(l_start, l_gamma, counter))
            cell = (row + a) * follower_count
            b = draw(follower, cell, follower_count, follower_summing, uniform(f_start, f_gamma, counter))
            cell += b
            leader_actions[i, t] = a
            follower_actions[i, t] = b
            leader_rewards[i, t] = leader_reward[cell]
            follower_rewards[i, t] = follower_reward[cell]
            k = first[cell]
            choices = first[cell + 1] - k
            if choices > 1:  # where one state alone can follow nothing is drawn
                k += draw(chances, k, choices, summing, uniform(e_start, e_gamma, np.uint64(t + 1)))
            s = successors[k]
            states[i, t + 1] = s
            if terminal[s]:
                lengths[i] = t + 1
                ends[i] = True
                ended += 1
                break
    return ended


@compiled
def _fill(out: Any) -> None:
    """Write the padding."""
    states, leader_actions, follower_actions, leader_rewards, follower_rewards, lengths, _ = out
    for i in range(states.shape[0]):
        for t in range(lengths[i], leader_actions.shape[1]):
            leader_actions[i, t] = follower_actions[i, t] = 0
            leader_rewards[i, t] = follower_rewards[i, t] = 0.0
            states[i, t + 1] = states[i, lengths[i]]


def roll(
    sampler: Sampler, leader: FloatArray, follower: FloatArray, stages: int, drawn: tuple[int, int, int]
) -> Trajectories:
    """The episodes that ``rollout`` plays.

    Args:
        sampler: the game's tables.
        leader: ``[S, A]``, rows that are distributions.
        follower: ``[S, A, B]``, likewise.
        stages: at most so many are played.
        drawn: seed, number of episodes, and number of the first.

    Raises:
        InvalidArgumentError: the seed is out of range, or the batch does not fit the memory.
    """
    seed, episodes, first = np.uint64(check_seed(drawn[0])), drawn[1], np.uint64(drawn[2])
    policies = (*_drawn_from(leader, episodes * stages), *_drawn_from(follower, episodes * stages))
    tables, begin = tuple(sampler), 0
    room = BLOCK if stages > BLOCK and sampler.terminal.any() else stages
    out = _Batch.of(episodes, room)
    ended = _roll(tables, policies, seed, first, tuple(out), begin)
    while room < stages and ended < episodes:
        begin, room = room, GROWTH * room if GROWTH**2 * room < stages else stages
        out = out.resized(begin, room)
        ended = _roll(tables, policies, seed, first, tuple(out), begin)
    if ended:
        if stages > BLOCK:
            out = out.resized(width(int(out.lengths.max()), stages))
        _fill(tuple(out))
    return Trajectories(*out, stages)


def _drawn_from(policy: FloatArray, draws: int) -> tuple[FloatArray, Summing]:
    """A policy, and whether it is drawn from its rows themselves: where these are more than there are draws."""
    return np.ascontiguousarray(policy), True if policy.size > draws * policy.shape[-1] else None
