"""Cost of one hypergradient estimate against trajectory length and against the number of parameters.

Run with ``OMP_NUM_THREADS=1 python benchmarks/estimator.py [--plot FILE.png]``. One episode of T
stages in a random game (20 states, 4 x 4 actions,
discounts 0.999); critics are given. Compared are

- per-stage work: traces, coefficients and their sum into a table of weights, in NumPy and numba;
- the backward pass of that table through the commitment, over the 20 states;
- nested sums: the trace alone by its definition, a sum over all earlier stages at every stage,
  compiled, with the powers of the discounts tabulated.

CPU time is the process's own, the median over repeats. Peak memory is what the per-stage work holds
beyond the trajectory; beside it stands what keeping one gradient of theta per stage would need.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import COLOURS, cpu_seconds, new_figure, peak_bytes, print_table, save

import stackelberg_games as sg
from stackelberg_games import exact, hypergradient
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.tabular import DiscretePolicy
from stackelberg_games.hypergradient import StageCritics
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.numerics.randomness import compiled
from stackelberg_games.play.rollout import TabularResponse, rollout
from stackelberg_games.rules.commitment import flatten
from stackelberg_games.rules.trajectories import Trajectories

LENGTHS = (100, 1_000, 10_000, 100_000)
NESTED_LENGTHS = (100, 1_000, 10_000, 30_000)
WIDTHS = (4, 16, 64, 256, 1000)
STAGES_FOR_WIDTHS = 10_000
TAU = 0.2
DISCOUNTS = {"leader_discount": 0.999, "follower_discount": 0.999}


@compiled
def _nested(weighted: Any, powers: Any, out: Any) -> None:
    for t in range(len(weighted)):
        total = 0.0
        for k in range(t):
            total += powers[t - k] * weighted[k]
        out[t] = total


def nested_traces(benefit: FloatArray, leader_discount: float, follower_discount: float) -> FloatArray:
    """u_t by its definition, sum over k < t of gF^(t - k) gL^k B_k: O(T^2)."""
    out, ages = np.empty_like(benefit), np.arange(len(benefit))
    _nested(benefit * leader_discount**ages, follower_discount**ages, out)
    return out


@dataclass(frozen=True)
class Task:
    """One episode with critics, and the commitment it was played with."""

    game: TabularGame
    policy: DiscretePolicy
    batch: Trajectories
    critics: StageCritics

    def table(self) -> FloatArray:
        """All per-stage work: the weights of log f, ``[S, A]``."""
        weights = hypergradient.coefficients(
            self.batch,
            self.critics,
            leader_discount=self.game.leader_discount,
            follower_discount=self.game.follower_discount,
            temperature=TAU,
        )
        total = weights.direct_policy + weights.response_policy
        return hypergradient.collapse(total, self.batch, self.game.states, self.game.leader_actions)

    def backward(self, table: FloatArray) -> None:
        """One pass through the commitment."""
        self.policy.zero_grad()
        (torch.from_numpy(table) * self.policy.log_probabilities()).sum().backward()  # type: ignore[no-untyped-call]

    def nested(self) -> FloatArray:
        """The trace alone, by nested sums."""
        return nested_traces(self.critics.benefit[0], self.game.leader_discount, self.game.follower_discount)


def task(stages: int, hidden: tuple[int, ...] = ()) -> Task:
    """An episode of ``stages`` stages; without hidden layers the commitment is a table."""
    game = sg.make("random_game-v0", states=20, leader_actions=4, follower_actions=4, **DISCOUNTS)
    assert isinstance(game, TabularGame)
    policy = sg.MLPPolicy(game, hidden) if hidden else sg.TabularPolicy(game)
    tables = exact.critics(game, policy, TAU)
    batch = rollout(game, policy, TabularResponse(tables.response), episodes=1, stages=stages)
    return Task(game, policy, batch, tables.at(batch))


def check(made: Task) -> None:
    """The nested sums and the library agree."""
    discounts = (made.game.leader_discount, made.game.follower_discount)
    before, _, _ = hypergradient.traces(made.critics.benefit, made.batch.lengths, *discounts)
    assert np.allclose(before[0], made.nested(), atol=1e-10)


@dataclass(frozen=True)
class Cost:
    """CPU seconds and bytes at one setting."""

    setting: int
    per_stage: float
    backward: float
    peak: int
    nested: float | None = None


def cost(setting: int, made: Task, repeats: int, nested: bool) -> Cost:
    """Measure one task."""
    table = made.table()
    slow = cpu_seconds(made.nested, repeats if made.batch.stages < 10_000 else 1) if nested else None
    return Cost(
        setting,
        cpu_seconds(made.table, repeats),
        cpu_seconds(partial(made.backward, table), repeats),
        peak_bytes(made.table),
        slow,
    )


def over_lengths(repeats: int) -> list[Cost]:
    """Costs against T with a tabular commitment."""
    check(task(500))
    return [cost(t, task(t), repeats, t in NESTED_LENGTHS) for t in sorted({*LENGTHS, *NESTED_LENGTHS})]


def over_parameters(repeats: int) -> list[Cost]:
    """Costs against the number of parameters, at a fixed length."""
    made = [task(STAGES_FOR_WIDTHS, (width, width)) for width in WIDTHS]
    return [cost(len(flatten(m.policy)), m, repeats, False) for m in made]


def show(lengths: list[Cost], parameters: list[Cost]) -> None:
    """Print both tables."""

    def milliseconds(seconds: float | None) -> str:
        return "" if seconds is None else f"{seconds * 1e3:.3f}"

    print_table(
        "One estimate against trajectory length (tabular commitment)",
        ("T", "per-stage ms", "backward ms", "ns per stage", "nested sums ms", "ratio", "peak kB"),
        [
            (
                f"{c.setting:,}",
                milliseconds(c.per_stage),
                milliseconds(c.backward),
                f"{c.per_stage / c.setting * 1e9:.0f}",
                milliseconds(c.nested),
                "" if c.nested is None else f"{c.nested / (c.per_stage + c.backward):.1f}x",
                f"{c.peak / 1e3:,.0f}",
            )
            for c in lengths
        ],
    )
    print_table(
        f"One estimate against the number of parameters (MLP commitment, T = {STAGES_FOR_WIDTHS:,})",
        ("parameters", "per-stage ms", "backward ms", "peak MB", "a gradient per stage, MB"),
        [
            (
                f"{c.setting:,}",
                milliseconds(c.per_stage),
                milliseconds(c.backward),
                f"{c.peak / 1e6:.2f}",
                f"{8e-6 * STAGES_FOR_WIDTHS * c.setting:,.0f}",
            )
            for c in parameters
        ],
    )


def plot(lengths: list[Cost], parameters: list[Cost], file: Path) -> None:
    """Time against T, time against dim(theta), memory against dim(theta)."""
    figure, (by_length, by_size, memory) = new_figure(3)
    nested = [c for c in lengths if c.nested is not None]
    by_length.plot([c.setting for c in nested], [1e3 * (c.nested or 0) for c in nested], "o-", color=COLOURS[0])
    whole = [1e3 * (c.per_stage + c.backward) for c in lengths]
    by_length.plot([c.setting for c in lengths], whole, "o-", color=COLOURS[1])
    by_length.legend(["nested sums, trace alone", "whole estimate"], frameon=False)
    by_length.set(xlabel="stages T", ylabel="CPU time (ms)", title="Time against trajectory length")
    sizes = [c.setting for c in parameters]
    by_size.plot(sizes, [1e3 * c.backward for c in parameters], "o-", color=COLOURS[2])
    by_size.plot(sizes, [1e3 * c.per_stage for c in parameters], "o-", color=COLOURS[1])
    by_size.legend(["one backward pass", f"per-stage work, T = {STAGES_FOR_WIDTHS:,}"], frameon=False)
    by_size.set(xlabel="parameters", ylabel="CPU time (ms)", title="Time against dim θ", ylim=(0.02, 20))
    memory.plot(sizes, [8e-6 * STAGES_FOR_WIDTHS * s for s in sizes], "o--", color=COLOURS[0])
    memory.plot(sizes, [1e-6 * c.peak for c in parameters], "o-", color=COLOURS[1])
    memory.legend(["a gradient per stage (computed)", "per-stage work (measured)"], frameon=False)
    memory.set(xlabel="parameters", ylabel="peak memory (MB)", title="Memory against dim θ")
    save(figure, file)


def main() -> None:
    """Print the tables and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    chosen = parser.parse_args()
    lengths, parameters = over_lengths(chosen.repeats), over_parameters(chosen.repeats)
    show(lengths, parameters)
    if chosen.plot:
        plot(lengths, parameters, chosen.plot)


if __name__ == "__main__":
    main()
