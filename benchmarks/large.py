"""Large finite games on one core: values and hypergradients, hard responses beside other packages, and updates.

Run with ``OMP_NUM_THREADS=1 python benchmarks/large.py [--hard] [--pairs 5]``. The game is a walk on a square: the follower's move is made with
probability 0.7, the leader's push with 0.3, both players are paid N(0, 1) by the cell; temperature 0.1. *Cold* is the leader's
value and ``backward()`` from nothing; *warm* is the same at another policy, from the follower's values at the last one. Every
row of the first and of the last table is a process of its own, for its peak of memory. Updates: medians over those in a row.

``--hard``: hard responses of one agent on the same square (0.8, and 0.1 to each side), alternating with ``quantecon`` (modified policy
iteration on sparse matrices, until the span of a sweep is 1e-10) and ``mdpsolver`` (likewise, at tolerance 1e-3) where these are
installed; medians of the pairs. Ours are certified: the time includes a bound on the error in every state. What a package takes
to build its model is printed beside, and how far its values are from ours.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
import torch
from measuring import print_table, ratio

import stackelberg_games as sg
from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.learning.information import Evidence

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
TAU = 0.1
ROWS = ((316, 0.95), (316, 0.99), (316, 0.999), (1000, 0.99))
HARD = ((316, 0.95), (316, 0.99), (316, 0.999))
SQUARES = (100, 141, 224, 316, 1000)
DISCOUNT = 0.95
COMPILED = 260
"""Side of a square that has everything compiled that larger ones need."""


def ahead(side: int) -> IntArray:
    """The cell that each move leads to, ``[S, 4]``."""
    row, column = np.divmod(np.arange(side * side), side)
    steps = [np.clip(row + y, 0, side - 1) * side + np.clip(column + x, 0, side - 1) for y, x in MOVES]
    return np.stack(steps, axis=1).astype(np.int32)


def pushed(side: int) -> tuple[IntArray, FloatArray]:
    """Successors and probabilities of the game of two, ``[S, 4, 4, 2]``."""
    moves = ahead(side)
    successors = np.empty((side * side, 4, 4, 2), dtype=np.int32)
    successors[..., 0], successors[..., 1] = moves[:, None, :], moves[:, :, None]
    return successors, np.broadcast_to([0.7, 0.3], successors.shape)


def paid(side: int, actions: int) -> tuple[FloatArray, FloatArray]:
    """Rewards by the cell, ``[S, A, 4]``."""
    rng, cells = np.random.default_rng(0), side * side
    follower, leader = (np.broadcast_to(rng.normal(size=(cells, 1, 1)), (cells, actions, 4)) for _ in range(2))
    return leader, follower


def game_of_two(side: int, discount: float) -> sg.TabularGame:
    """The walk with a leader that pushes."""
    start = np.full(side * side, 1 / side**2)
    return sg.TabularGame.from_successors(*pushed(side), *paid(side, 4), start, discount, discount)


def seconds(task: Callable[..., Any], *given: Any) -> tuple[float, Any]:
    """CPU time, and what came of it."""
    begin = time.process_time()
    found = task(*given)
    return time.process_time() - begin, found


def valued(game: sg.TabularGame, logits: FloatArray, start: FloatArray | None) -> Any:
    """The leader's value, its gradient by the logits, and the follower's values."""
    policy = sg.TabularPolicy(game, logits)
    values = sg.exact.differentiable_values(game, policy, TAU, start=start)
    objective = game.initial_tensor @ values.leader
    objective.backward()  # type: ignore[no-untyped-call]
    return objective.item(), policy.logits.grad, values.follower.detach().numpy()


def row(side: int, discount: float) -> list[str]:
    """One row of the first table; compiled on a smaller game first."""
    for size in (COMPILED, side):
        built, game = seconds(game_of_two, size, discount)
        rng = np.random.default_rng(5)
        logits = 0.3 * rng.normal(size=(game.states, 4))
        cold, (_, _, values) = seconds(valued, game, logits, None)
        other = np.log(rng.dirichlet(np.full(4, 20.0), size=game.states))
        warm, _ = seconds(valued, game, other, values)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return [f"{game.states:,}", f"{discount}", *(f"{t:.2f}" for t in (built, cold, warm)), f"{peak:.2f}"]


def differences(side: int) -> list[list[str]]:
    """Central differences along one random direction of all numbers, against the adjoint."""
    game = game_of_two(side, 0.99)
    rng = np.random.default_rng(5)
    logits, start = 0.3 * rng.normal(size=(game.states, 4)), None
    base = [torch.from_numpy(np.array(table)) for table in (game.leader_reward, game.follower_reward)]

    def configure(x: torch.Tensor) -> Tables:
        return Tables(charged.base.transition, base[0], base[1] + x[:, None, None])

    settings: dict[str, Any] = {"leader_discount": 0.99, "follower_discount": 0.99}
    charged = ConfigurableGame.from_successors(
        *pushed(side), *paid(side, 4), game.initial_distribution, size=game.states, configure=configure, **settings
    )

    def worth(logits: FloatArray, x: FloatArray) -> tuple[torch.Tensor, sg.Configuration]:
        chosen = sg.Configuration(x, policy=sg.TabularPolicy(charged, logits))
        return sg.exact.leader_objective(charged, chosen, TAU, start=start), chosen

    zero = np.zeros(game.states)
    value, chosen = worth(logits, zero)
    value.backward()  # type: ignore[no-untyped-call]
    start = sg.exact.best_response(charged, chosen, TAU).values
    pulls = {name: parameter.grad for name, parameter in chosen.named_parameters()}
    directions = {
        "rewards": (0.0 * logits, rng.normal(size=game.states)),
        "logits": (rng.normal(size=logits.shape), zero),
    }
    table = []
    for name, (turned, moved) in directions.items():
        pull = next(p for key, p in pulls.items() if ("logits" in key) == (name == "logits"))
        assert pull is not None
        along = float((pull.numpy() * (turned if name == "logits" else moved)).sum())
        errors = []
        for step in (1e-3, 1e-4, 1e-5):
            with torch.no_grad():
                ends = [worth(logits + sign * turned, sign * moved)[0].item() for sign in (step, -step)]
            errors.append(abs((ends[0] - ends[1]) / (2 * step) - along) / abs(along))
        table.append([name, *(f"{error:.1e}" for error in errors)])
    return table


def one_agent(side: int) -> tuple[IntArray, FloatArray]:
    """Successors and probabilities of the walk of one, ``[S, 1, 4, 3]``."""
    moves = ahead(side)
    successors = np.stack([moves[:, [b, (b + 1) % 4, (b - 1) % 4]] for b in range(4)], axis=1)[:, None]
    return successors, np.broadcast_to([0.8, 0.1, 0.1], successors.shape)


def ours(side: int, discount: float) -> Callable[[], Any]:
    """A certified hard response."""
    game = sg.TabularGame.from_successors(
        *one_agent(side), *paid(side, 1), np.full(side * side, 1 / side**2), discount, discount
    )
    return lambda: sg.exact.best_response(game, sg.TabularPolicy(game), 0.0).values


def quantecon(side: int, discount: float) -> Callable[[], Any]:
    """Modified policy iteration of quantecon, stopped where the span of a sweep is 1e-10."""
    from quantecon.markov import DiscreteDP

    successors, probability = one_agent(side)
    cells = 4 * side * side
    first = np.arange(0, successors.size + 1, 3)
    matrix = scipy.sparse.csr_matrix((probability.ravel(), successors.ravel(), first), shape=(cells, side * side))
    matrix.sum_duplicates()
    pairs = np.divmod(np.arange(cells), 4)
    problem = DiscreteDP(paid(side, 1)[1].ravel(), matrix, discount, *pairs)
    accuracy = 1e-10 * discount / (1 - discount)
    return lambda: problem.solve(method="modified_policy_iteration", epsilon=accuracy, max_iter=10**6).v


def mdpsolver(side: int, discount: float) -> Callable[[], Any]:
    """Modified policy iteration of mdpsolver at its default tolerance."""
    import mdpsolver as package

    successors, probability = one_agent(side)
    lists = {"tranMatProbs": probability[:, 0].tolist(), "tranMatColumns": successors[:, 0].tolist()}
    model = package.model()
    model.mdp(discount=discount, rewards=paid(side, 1)[1][:, 0].tolist(), **lists)

    def solve() -> Any:
        model.solve(algorithm="mpi", tolerance=1e-3, update="standard", parallel=False, verbose=False)
        return np.array(model.getValueVector())

    return solve


def contests(pairs: int) -> list[list[str]]:
    """Hard responses, alternating."""
    table = []
    ours(COMPILED, 0.9)()
    for side, discount in HARD:
        built, mine = seconds(ours, side, discount)
        for name, other in (("quantecon", quantecon), ("mdpsolver", mdpsolver)):
            if importlib.util.find_spec(name) is None or (name == "mdpsolver" and discount > 0.99):
                continue
            other(10, 0.9)()
            times, builds, apart = [], [], 0.0
            for _ in range(pairs):
                fast, found = seconds(mine)
                fresh, theirs = seconds(other, side, discount)  # what has solved once begins at the solution
                slow, expected = seconds(theirs)
                times.append((fast, slow))
                builds.append(fresh)
                apart = max(apart, float(np.abs(found - expected).max()))
            table.append(
                [
                    f"{side * side:,}",
                    f"{discount}",
                    name,
                    *(f"{statistics.median(column):.2f}" for column in zip(*times, strict=True)),
                    ratio(times),
                    f"{built:.2f} / {statistics.median(builds):.2f}",
                    f"{apart:.0e}",
                ]
            )
    return table


def updates(side: int) -> list[str]:
    """A hundred updates of bchg on 10,000 transitions each, and the peak of memory until then."""
    game = game_of_two(side, DISCOUNT)
    leader = sg.make_leader("bchg")
    leader.begin(game.view(TAU), seed=0)
    policy = sg.TabularResponse(sg.exact.best_response(game, leader.commitment, TAU).policy)
    taken, played, entered = [], [], np.zeros(game.states, dtype=np.bool_)
    for number in range(100):
        play = partial(sg.rollout, game, leader.commitment, policy, episodes=100, stages=100, seed=number)
        spent, batch = seconds(play)
        played.append(spent)
        entered[batch.states] = True
        evidence = Evidence(batch.leader_returns(DISCOUNT), batch)
        taken.append(seconds(leader.update, evidence)[0])
    cells = [f"{1e3 * statistics.median(times):.0f}" for times in (taken[1:11], taken[4:], taken[90:], played)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return [f"{game.states:,}", *cells, f"{entered.sum():,}", f"{peak:.2f}"]


def apart(task: str) -> Any:
    """A task in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--task", task], capture_output=True, text=True, check=True, env=os.environ
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--hard", action="store_true", help="hard responses beside other packages instead")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.task:
        kind, side, discount = chosen.task.split(",")
        print(json.dumps(row(int(side), float(discount)) if kind == "row" else updates(int(side))))
        return
    if chosen.hard:
        columns = ("states", "discount", "against", "ours s", "theirs s", "ratio", "built s", "differ by")
        print_table("Hard response of one agent", columns, contests(chosen.pairs))
        return
    columns = ("states", "discount", "build s", "cold s", "warm s", "peak GB")
    print_table("Value and hypergradient, A = B = 4, two successors", columns, [apart(f"row,{s},{d}") for s, d in ROWS])
    columns = ("of 99,856 states", "step 1e-3", "1e-4", "1e-5")
    print_table("Relative error of central differences, discount 0.99", columns, differences(316))
    columns = ("states", "2nd to 11th ms", "5th to 100th ms", "91st to 100th ms", "rollout ms", "seen", "peak GB")
    apart("update,60,0")
    print_table(
        "A hundred updates of bchg, 10,000 transitions each",
        columns,
        [apart(f"update,{side},0") for side in SQUARES],
    )


if __name__ == "__main__":
    main()
