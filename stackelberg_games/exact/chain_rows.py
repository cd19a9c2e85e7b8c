"""The chain of states under two policies, as the numbers of its pattern's places; see ``kinds.successors``."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.kinds.successors import Pattern, SuccessorLists
from stackelberg_games.numerics.randomness import compiled


def weighted_chain(
    lists: SuccessorLists, policy: FloatArray, response: FloatArray, weight: float, alive: Any
) -> FloatArray:
    """Entries of ``weight`` times the chain under two policies at the places of the pattern, ``[N]``; see ``ChainSystem.of``."""
    pattern, entries = lists.pattern, np.empty(len(lists.pattern.columns))
    listed = (lists.first, lists.successors, lists.probability)
    _fill(listed, (pattern.first, pattern.slot), policy, np.ascontiguousarray(response), alive, weight, entries)
    return entries


def chain_rows(
    lists: SuccessorLists, policy: FloatArray, response: FloatArray, weight: float, alive: Any
) -> tuple[Pattern, FloatArray]:
    """The same with a pattern that is found along, in less time than by itself; its columns are in any order, and it has no slots."""
    states, room = len(policy), len(lists.successors) + len(policy)
    first, diagonal = np.zeros(states + 1, dtype=np.int64), np.empty(states, dtype=np.int64)
    columns, entries = np.empty(room, dtype=np.int32), np.empty(room)
    listed = (lists.first, lists.successors, lists.probability)
    policies = (policy, np.ascontiguousarray(response), alive)
    found = _rows(listed, policies, weight, np.full(states, -1), (first, columns, diagonal, entries))
    return Pattern(first, columns[:found], diagonal, columns[:0]), entries[:found]


def product(pattern: Pattern, entries: FloatArray, vector: FloatArray, transposed: bool = False) -> FloatArray:
    """The matrix of entries ``[N]`` at the places of a pattern, or its transpose, times a vector ``[S]``."""
    out = np.zeros(len(vector))
    _times(pattern.first, pattern.columns, entries, vector, out, transposed)
    return out


@compiled
def _fill(lists: Any, pattern: Any, policy: Any, response: Any, alive: Any, weight: float, out: Any) -> None:
    entries, _, probability = lists
    first, slot = pattern
    states, actions = policy.shape
    rows, replies = response.shape[1], response.shape[2]
    for s in range(states):
        for place in range(first[s], first[s + 1]):
            out[place] = 0.0
        if alive[s]:
            for a in range(actions):
                for b in range(replies):
                    cell = (s * actions + a) * replies + b
                    share = weight * policy[s, a] * response[s, min(a, rows - 1), b]
                    for k in range(entries[cell], entries[cell + 1]):
                        out[first[s] + slot[k]] += share * probability[k]


@compiled
def _rows(listed: Any, policies: Any, weight: float, mark: Any, out: Any) -> int:
    """The pattern and what ``_fill`` fills in; returns how many entries it has."""
    (firsts, successors, probability), (policy, response, alive) = listed, policies
    first, columns, diagonal, entries = out
    actions, rows, replies, end = policy.shape[1], response.shape[1], response.shape[2], 0
    for s in range(policy.shape[0]):
        diagonal[s] = mark[s] = begin = end
        columns[end], entries[end] = s, 0.0
        end += 1
        if alive[s]:
            for a in range(actions):
                for b in range(replies):
                    cell = (s * actions + a) * replies + b
                    share = weight * policy[s, a] * response[s, min(a, rows - 1), b]
                    for k in range(firsts[cell], firsts[cell + 1]):
                        n = successors[k]
                        if mark[n] < begin:
                            mark[n] = end
                            columns[end], entries[end] = n, 0.0
                            end += 1
                        entries[mark[n]] += share * probability[k]
        first[s + 1] = end
    return end


@compiled
def _times(first: Any, columns: Any, scaled: Any, vector: Any, out: Any, transposed: bool) -> None:
    for s in range(vector.shape[0]):
        if transposed:
            for place in range(first[s], first[s + 1]):
                out[columns[place]] += scaled[place] * vector[s]
        else:
            total = 0.0
            for place in range(first[s], first[s + 1]):
                total += scaled[place] * vector[columns[place]]
            out[s] = total
