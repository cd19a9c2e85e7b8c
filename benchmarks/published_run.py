"""Run published code for some iterations, in the interpreter that it was installed for.

``against_published.py`` calls ``python published_run.py FOLDER CASE ITERATIONS`` twice and takes the difference. The folder is a checkout
of github.com/akimotolab/BC-HG, or of github.com/UCAS-YanYang/SoBiRL, which the user has fetched. What the code writes goes to a
folder that is removed. Nothing of this package is imported here.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

FILES = {
    "toy": "markov_game/train_discrete_toy.py",
    "lqr": "markov_game/train_bilevel_lqr.py",
    "four_rooms": "configurable_mdp/train_four_rooms_bchg.py",
    "m_sobirl": "SyntheticProblem/RanMDP.py",
}
"""What has to be in the folder."""

CONFIGS = {
    "toy": "markov_game/config/config_discrete_toy_bchg.yaml",
    "lqr": "markov_game/config/config_bilevel_lqr_bchg.yaml",
    "four_rooms": "configurable_mdp/data/experiment_reg_lambda_0_001_total_steps_400/config.yaml",
}
"""Its settings there; only the number of iterations is changed, and of a search over a grid the first point is taken."""


def script(folder: Path, case: str, *arguments: str) -> None:
    """A training script as its command runs it."""
    path = folder / FILES[case]
    sys.argv, sys.path[0] = [str(path), *arguments], str(path.parent)
    runpy.run_path(str(path), run_name="__main__")


def markov_game(folder: Path, case: str, iterations: int) -> None:
    """The toy, or the linear-quadratic game."""
    script(folder, case, "--no_aggregate", "--config", str(folder / CONFIGS[case]), f"leader.n_epochs={iterations}")


def four_rooms(folder: Path, case: str, iterations: int) -> None:
    """Four Rooms at one point of its grid, one seed."""
    import yaml

    config = yaml.safe_load((folder / CONFIGS[case]).read_text())
    upper, lower = config["upper_optimisation"], config["lower_optimisation"]
    for part, name in ((upper, "learning_rate"), (upper, "incentive_reg_param"), (upper, "sarsa_alpha")):
        part[name] = first(part[name])
    lower["reg_lambda_decay"] = first(lower["reg_lambda_decay"])
    upper["num_outer_iter"], config["num_seeds"] = iterations, 1
    Path("config.yaml").write_text(yaml.safe_dump(config))
    script(folder, case, "--experiment_dir", ".")


def first(value: Any) -> Any:
    """The first of several settings, or the only one."""
    return value[0] if isinstance(value, list) else value


def m_sobirl(folder: Path, case: str, iterations: int) -> None:
    """M-SoBiRL by the class's own steps in the order of its loop, without what that logs; on the CPU."""
    import numpy as np
    import torch

    path = folder / FILES[case]
    sys.path[0] = str(path.parent)
    module: Any = importlib.import_module(path.stem)
    module.device = "cpu"
    np.random.seed(3)  # noqa: NPY002 the published instances are drawn with it
    torch.manual_seed(3)
    problem = module.RandMDP(10, 5, types.SimpleNamespace(gamma=0.5))
    adjoint, values = torch.randn((10, 1)), torch.zeros((10, 1))
    policy = torch.full((10, 5), 0.2)
    problem.rewards = problem.generate_rewards()
    for _ in range(iterations):
        system = (torch.eye(10) - problem.gamma * problem.compute_P_pi(policy)).T
        owed = torch.einsum("saj,sa->j", problem.U, policy * module.f_grad_pi(problem.x, policy)).reshape(-1, 1)
        adjoint = (adjoint - 0.5 * (system.T @ (system @ adjoint) - system.T @ owed)).detach()
        gradient = problem.hyper_grad_esti(problem.x, policy, values, adjoint)
        with torch.no_grad():
            problem.x -= 8e-3 * gradient
        problem.rewards = problem.generate_rewards()
        with torch.no_grad():
            values, _, policy = problem.soft_value_iteration(values, 10)


RUNS = {"toy": markov_game, "lqr": markov_game, "four_rooms": four_rooms, "m_sobirl": m_sobirl}

if __name__ == "__main__":
    folder, case, iterations = Path(sys.argv[1]).resolve(), sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        RUNS[case](folder, case, iterations)
        os.chdir(folder)
