"""Why leaders miss 99 % on games of the literature: what each becomes without its noise, its bias or its haste.

For a game and a leader of ``stackelberg reproduce literature`` that reaches the optimum in fewer than nine seeds of ten, on seeds
that are not reported there:

    as reported   the run of the table
    unbiased      exact hypergradient + the leader's own noise at each commitment: the difference of two of its estimates, over sqrt 2
    noiseless     the mean of ``AVERAGED`` of its estimates at each commitment: what remains is bias, and noise of a quarter
    exact         the exact hypergradient
    patient       the run of the table with steps of a quarter and four times the updates
    longer        the run of the table with four times the updates
    many          the run of the table with ``MANY`` times the episodes in a batch
    both          smaller steps, more of them, and larger batches
    elsewhere     the exact hypergradient, four times the updates, from first commitments drawn at random

Run with ``OMP_NUM_THREADS=1 python benchmarks/literature_reasons.py``; stores ``docs/data/literature_reasons.json`` as it goes, and what is
stored already with as many seeds is not run again.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import stackelberg_games as sg
from stackelberg_games.learning.diagnostics import GradientReport
from stackelberg_games.learning.experiment import Experiment
from stackelberg_games.reproductions.study import Entry, Setting, Study, load
from stackelberg_games.rules.commitment import flatten

OUT = Path(__file__).parents[1] / "docs" / "data" / "literature_reasons.json"
COMMAND = "python benchmarks/literature_reasons.py"
FIRST_SEED = 100
AVERAGED, MANY, PATIENCE = 16, 16, 4
STARTS, SPREAD = 10, 4.0
NOISE = ("as reported", "unbiased", "noiseless", "exact", "patient", "many")
PLAYED = ("as reported", "patient", "many")
"""All that differs where a leader remembers less: estimates are of fresh leaders."""
FEW = ("as reported", "unbiased", "exact", "patient", "many")
PLATEAU = ("as reported", "elsewhere")
ALL = (*NOISE, "longer")
CELL = ("setting", "leader", "variant")
CASES = {
    ("matrix, maintain", "BC-HG"): NOISE,
    ("matrix, maintain", "BC-HG, no memory"): PLAYED,
    ("matrix, maintain", "twin followers"): NOISE,
    ("security, three targets", "BC-HG"): NOISE,
    ("security, three targets", "BC-HG, no memory"): PLAYED,
    ("security, five targets", "BC-HG"): ("as reported", "patient", "many"),
    ("security, five targets", "BC-HG, no memory"): ALL,
    ("security, five targets", "twin followers"): (*ALL, "both"),
    ("contract, two efforts", "exact gradient"): PLATEAU,
    ("contract, four efforts", "exact gradient"): PLATEAU,
    ("principal and agent", "exact gradient"): PLATEAU,
    ("matrix, entry deterrence", "exact gradient"): PLATEAU,
    ("Bayesian matrix", "exact gradient"): PLATEAU,
    ("toy, R = 2", "BC-HG"): FEW,
    ("wholesale", "twin followers"): FEW,
    ("security, three targets", "twin followers"): FEW,
    ("scalar linear-quadratic", "BC-HG"): ("as reported", "unbiased", "exact"),
    ("contract, four efforts", "twin followers"): (*FEW, "longer"),
    ("contract, two efforts", "twin followers"): ("as reported", "exact", "longer"),
}


class Case(NamedTuple):
    """A leader in a game of the study."""

    study: Study
    setting: Setting
    entry: Entry

    @property
    def experiment(self) -> Experiment:
        """As it is reported."""
        return self.study.run(self.setting, self.entry)

    @property
    def rate(self) -> float:
        """Of Adam."""
        return float(self.entry.settings["learning_rate"])

    def updates(self, game: sg.Game, leader: sg.Leader) -> int:
        """In the transitions of the table."""
        episodes = int(self.experiment.sections["training"].get("episodes", 3))
        return self.setting.updates * self.setting.unit // (episodes * game.stages() * (1 + leader.further_batches))


def played(case: Case, seed: int, *, slower: int = 1, longer: int = 1, episodes: int = 1) -> float:
    """Value at the end of a run of the table: with steps of a part and more of them, with more steps, or with larger batches."""
    experiment = case.experiment.override([("leader.learning_rate", case.rate / slower)])
    loop = experiment.sections["training"]
    experiment = experiment.override([("training.episodes", int(loop.get("episodes", 3)) * episodes)])
    budget = case.setting.updates * case.setting.unit * slower * longer * episodes
    run = experiment.run(seed=seed, iterations=budget, budget=budget, evaluate_every=0, progress=False)
    assert run.value is not None
    return float(run.value)


Combine = Callable[[GradientReport], np.ndarray[Any, Any]]


def climbed(case: Case, seed: int, estimates: int, combine: Combine) -> tuple[float, GradientReport]:
    """Value where Adam ends that climbs what is made of some estimates at each commitment, and a look at the gradient there."""
    game, leader, follower = case.experiment.build()
    loop = case.experiment.sections["training"]
    episodes, stages = int(loop.get("episodes", 3)), loop.get("stages")
    if stages is not None:
        game.stages = lambda *_: int(stages)  # as long as the episodes of the table
    leader.begin(game.view(follower.declared_temperature), seed=seed)
    commitment = copy.deepcopy(leader.commitment)
    parameters = list(commitment.parameters())
    adam = torch.optim.Adam(parameters, lr=case.rate, maximize=True)
    for number in range(case.updates(game, leader)):
        report = look(game, case, commitment, seed * 100_000 + number, estimates, episodes)
        slope = torch.from_numpy(combine(report))
        begin = 0
        for parameter in parameters:
            parameter.grad = slope[begin : begin + parameter.numel()].view_as(parameter).clone()
            begin += parameter.numel()
        adam.step()
    value = float(sg.exact.leader_objective(game, commitment, follower.declared_temperature).detach())
    return value, look(game, case, commitment, seed, 60, episodes)


def look(game: Any, case: Case, commitment: Any, seed: int, batches: int, episodes: int) -> GradientReport:
    """Estimates of the leader, fresh, at a commitment."""
    _, leader, follower = case.experiment.build()
    return sg.gradient_check(
        game, leader, follower, commitment=copy.deepcopy(commitment), batches=batches, episodes=episodes, seed=seed
    )


def unbiased(report: GradientReport) -> np.ndarray[Any, Any]:
    """The exact gradient with the noise of one estimate."""
    return report.exact + (report.estimates[0] - report.estimates[1]) / 2**0.5


def elsewhere(case: Case, seed: int) -> float:
    """Value where the exact gradient ends from a commitment drawn at random."""
    game, leader, follower = case.experiment.build()
    leader.begin(game.view(follower.declared_temperature), seed=seed)
    commitment = copy.deepcopy(leader.commitment)
    draws = np.random.default_rng(seed).normal(scale=SPREAD, size=len(flatten(commitment)))
    torch.nn.utils.vector_to_parameters(torch.from_numpy(draws), commitment.parameters())
    adam = torch.optim.Adam(list(commitment.parameters()), lr=case.rate, maximize=True)
    for _ in range(PATIENCE * case.setting.updates):
        adam.zero_grad()
        sg.exact.leader_objective(game, commitment, follower.declared_temperature).backward()
        adam.step()
    return float(sg.exact.leader_objective(game, commitment, follower.declared_temperature).detach())


def measured(case: Case, variant: str, seed: int) -> dict[str, Any]:
    """The value that a variant ends at, and its gradient there where one was looked at."""
    if variant == "as reported":
        return {"value": played(case, seed)}
    if variant == "patient":
        return {"value": played(case, seed, slower=PATIENCE)}
    if variant == "longer":
        return {"value": played(case, seed, longer=PATIENCE)}
    if variant == "many":
        return {"value": played(case, seed, episodes=MANY)}
    if variant == "both":
        return {"value": played(case, seed, slower=PATIENCE, episodes=MANY)}
    if variant == "elsewhere":
        return {"value": elsewhere(case, seed)}
    estimates, combine = {
        "unbiased": (2, unbiased),
        "noiseless": (AVERAGED, lambda report: report.mean),
        "exact": (2, lambda report: report.exact),
    }[variant]
    value, end = climbed(case, seed, estimates, combine)
    norms = {
        "exact_norm": np.linalg.norm(end.exact),
        "bias": np.linalg.norm(end.mean - end.exact),
        "bias_error": np.linalg.norm(end.standard_error),
        "deviation": end.estimates.var(axis=0, ddof=1).sum() ** 0.5,
    }
    return {"value": value, **{name: float(norm) for name, norm in norms.items()}}


def seeds(variant: str, count: int) -> range:
    """Averages vary little, and the exact gradient not at all."""
    return range(
        FIRST_SEED,
        FIRST_SEED + min(count, {"noiseless": 3, "exact": 1, "both": 4, "elsewhere": STARTS}.get(variant, count)),
    )


def main() -> None:
    """Run what is missing, and store after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seeds", type=int, default=6, help="of each cell; one that is stored with fewer is run again")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    study = load("literature")
    stored = json.loads(chosen.out.read_text())["rows"] if chosen.out.exists() else []
    rows = {tuple(row[name] for name in CELL): row for row in stored}
    cells = [(*case, variant) for case, variants in CASES.items() for variant in variants]
    for cell in sorted(cells, key=lambda cell: cell in rows):  # those of which nothing is known first
        setting, leader, variant = cell
        wanted = seeds(variant, chosen.seeds)
        if cell in rows and len(rows[cell]["final"]) >= len(wanted):
            continue
        case = Case(study, study.settings[setting], study.entries[leader])
        ends = [measured(case, variant, seed) for seed in wanted]
        means = {name: float(np.median([end[name] for end in ends])) for name in ends[0] if name != "value"}
        finals = {"optimum": case.setting.optimum, "final": [end["value"] for end in ends]}
        rows[cell] = {**dict(zip(CELL, cell, strict=True)), **finals, **means}
        print(rows[cell], flush=True)
        facts = {"command": COMMAND, "version": sg.__version__, "date": str(datetime.date.today())}
        ordered = [rows[cell] for cell in cells if cell in rows]
        chosen.out.write_text(json.dumps({**facts, "rows": ordered}, indent=1) + "\n")


if __name__ == "__main__":
    main()
