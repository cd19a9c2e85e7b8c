"""What leaves the trivial solution of Four Rooms: ascents on the exact hypergradient, start by start.

    OMP_NUM_THREADS=1 python benchmarks/four_rooms_ascents.py

The ascents of ``model_based`` when it plans, on the true game in place of an estimate: Adam, learning rate
0.1, 200 steps. Nothing but the form of the ascent decides where they end.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import stackelberg_games as sg
from stackelberg_games.representations.finite_model import FiniteModel, KnownTerms
from stackelberg_games.rules.commitment import assign, flatten
from stackelberg_games.rules.lever import Stages

STEPS, ANNEALED = 200, 140
TRIVIAL = 0.05
"""Values below are those of spending next to nothing."""


class Form(NamedTuple):
    """How an ascent begins: spread of the start, part of the leader's cost, factor on the temperature."""

    spread: float
    share: float
    heat: float


FORMS = {
    "standard start": Form(0.01, 1.0, 1.0),
    "standard start, temperature annealed": Form(0.01, 1.0, 5.0),
    "standard start, cost phased in": Form(0.01, 0.0, 1.0),
    "spread 3": Form(3.0, 1.0, 1.0),
    "spread 3, temperature annealed": Form(3.0, 1.0, 5.0),
    "spread 3, cost phased in": Form(3.0, 0.0, 1.0),
    "spread 3, both": Form(3.0, 0.0, 5.0),
}


def ascend(model: FiniteModel, commitment: Any, temperature: float, form: Form) -> float:
    """The best value of the true problem on the way."""
    optimizer = torch.optim.Adam(commitment.parameters(), lr=0.1, maximize=True)
    best = -np.inf
    for step in range(STEPS + 1):
        left = 0.0 if form[1:] == (1.0, 1.0) else max(0.0, 1.0 - step / ANNEALED)
        heated = temperature * (1 + (form.heat - 1) * left**2)
        optimizer.zero_grad()
        value, pull = model.objective(commitment, heated, 1.0 - (1.0 - form.share) * left)
        best = max(best, value) if left == 0.0 else best
        pull.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return best


def row(label: str, temperature: float, starts: int) -> dict[str, Any]:
    """Ends of one form of ascent from several starts."""
    game = sg.make("four_rooms-v0")
    ledger, stages = game.ledger(), Stages(*np.nonzero(game.transition))
    ledger.load_state_dict({"played": np.flatnonzero(game.transition)})  # everything is known here
    view = game.view(temperature, ledger)
    incentives = KnownTerms(view.lever, stages)
    begin, form, ends = time.process_time(), FORMS[label], []
    for seed in range(starts):
        commitment = game.commitment(seed)
        drawn = np.random.default_rng(seed).normal(scale=form.spread, size=len(flatten(commitment)))
        assign(commitment, torch.from_numpy(drawn))
        model = FiniteModel(view, game, incentives)  # so that no start is helped by the last
        ends.append(round(ascend(model, commitment, temperature, form), 6))
    seconds = round(time.process_time() - begin, 1)
    return {"form": label, "temperature": temperature, "ends": ends, "seconds": seconds}


def main() -> None:
    """Climb, store and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("docs/data/four_rooms_ascents.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for label in FORMS:
        for temperature in (0.001, 0.003, 0.005):
            rows.append(row(label, temperature, options.starts))
            ends = np.array(rows[-1]["ends"])
            print(f"{label:<40}{temperature}: best {ends.max():.3f}, left {(ends > TRIVIAL).sum()} of {len(ends)}")
    options.out.write_text(json.dumps({"rows": rows}) + "\n")


if __name__ == "__main__":
    main()
