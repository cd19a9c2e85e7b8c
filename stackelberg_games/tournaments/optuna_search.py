"""Search by Optuna: where a sweep looks next depends on what earlier points were paid.

What is suggested is a function of the sweep and of what its runs were paid, and runs are in the store of the sweep. So a search
that was killed is retraced from its start, without playing anything twice. Optuna's storage is a copy for its tools.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stackelberg_games import checks
from stackelberg_games.errors import MissingExtraError, StoreError
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.tournaments.contestant import canonical
from stackelberg_games.tournaments.search_space import Span

SAMPLERS = ("random", "tpe")
PRUNERS = ("none", "median", "wilcoxon")
TOGETHER = 8
"""Trials that are suggested before the first of them is played, so that several workers have something to do."""
STUDY = "study.sqlite"
PaidOn = Callable[[Sequence[Mapping[str, Any]], int], list[list[float]]]
"""The payoffs of some points on the first so many seeds for tuning; NaN for a run that failed."""


class OptunaSearch:
    """A study of Optuna.

    Args:
        space: lists and ranges by setting; see ``search_space.space_of``.
        seeds: how many there are for tuning.
        pruner: after 1, 2, 4, ... seeds it gives up points that fall behind: ``"median"`` those that are paid less than the
            median of the finished ones after as many seeds, ``"wilcoxon"`` those that are paid less than the best one by
            a signed-rank test on common seeds; ``"none"`` none.
        seed: of what is suggested.

    Attributes:
        reached: how many seeds each point has played, by its canonical text, in the order of the trials.
        points: their values, likewise.
        trials: how many are finished.
        given_up: how many of them were given up.

    Raises:
        MissingExtraError: Optuna is not installed.
    """

    def __init__(self, space: Mapping[str, Span | list[Any]], seeds: int, pruner: str, seed: int) -> None:
        self._optuna = _optuna()
        self.choices = {name: options for name, options in space.items() if not isinstance(options, Span)}
        self.distributions = {name: self._distribution(options) for name, options in space.items()}
        self.pruner, self.seed = pruner, seed
        self.steps = [seeds] if pruner == "none" else [*(2**k for k in range(64) if 2**k < seeds), seeds]
        self.points: dict[str, Mapping[str, Any]] = {}
        self.reached: dict[str, int] = {}
        self.trials = self.given_up = 0
        with self._quiet():
            self.study = self._optuna.create_study(direction="maximize", pruner=self._pruner())

    def play(self, trials: int, paid: PaidOn) -> Iterator[int]:
        """Suggest and play so many trials; yields how many are finished.

        The first trials do not depend on how many there are.
        """
        for first in range(0, trials, TOGETHER):
            with self._quiet():
                group = [self._suggested(number) for number in range(first, min(first + TOGETHER, trials))]
            self._play(group, paid)
            self.trials += len(group)
            yield self.trials

    def keep(self, folder: Path, name: str) -> None:
        """Copy the study, as far as it is, to Optuna's storage in a folder.

        Raises:
            StoreError: it cannot be written.
        """
        storage = f"sqlite:///{(folder / STUDY).resolve()}"
        done = self.study.get_trials(deepcopy=False)
        try:
            with self._quiet():
                kept = self._optuna.create_study(
                    storage=storage, study_name=name, direction="maximize", load_if_exists=True
                )
                there = kept.get_trials(deepcopy=False)
                if [_facts(trial) for trial in there] != [_facts(trial) for trial in done[: len(there)]]:
                    self._optuna.delete_study(study_name=name, storage=storage)  # a failed run was played again
                    kept, there = self._optuna.create_study(storage=storage, study_name=name, direction="maximize"), []
                kept.add_trials(done[len(there) :])
        except Exception as error:
            told = str(error).partition("\n")[0]
            raise StoreError(
                f"Optuna's copy of the study, {folder / STUDY}, cannot be written ({told}); all runs are safe, and without "
                "this file it is written anew from them"
            ) from error

    def _suggested(self, number: int) -> Any:
        """A trial by a sampler of its own, so that it depends on the earlier ones alone."""
        stream = int(generator(self.seed, number).integers(2**32))
        self.study.sampler = self._optuna.samplers.TPESampler(seed=stream, constant_liar=True)
        return self.study.ask(self.distributions)

    def _play(self, group: Sequence[Any], paid: PaidOn) -> None:
        values = [self._values(trial.params) for trial in group]
        going = dict(enumerate(group))
        for step in self.steps:
            for number in going:
                self._met(values[number], step)
            payoffs = dict(zip(going, paid([values[number] for number in going], step), strict=True))
            for number, trial in list(going.items()):
                found = payoffs[number]
                if np.isnan(found).any():
                    self._tell(going.pop(number), "FAIL")
                elif step == self.steps[-1]:
                    self._report(trial, found)
                    self._tell(going.pop(number), "COMPLETE", float(np.mean(found)))
                elif self._report(trial, found):
                    self.given_up += 1
                    self._tell(going.pop(number), "PRUNED")

    def _report(self, trial: Any, payoffs: Sequence[float]) -> bool:
        """Tell the pruner of new seeds; whether it gives the trial up."""
        if self.pruner == "none":
            return False
        step = len(payoffs)
        reports = {step: float(np.mean(payoffs))}
        if self.pruner == "wilcoxon":  # pairs the seeds of two trials itself
            before = max([0, *(earlier for earlier in self.steps if earlier < step)])
            reports = dict(enumerate(payoffs[before:], start=before))
        with self._quiet():
            for number, value in reports.items():
                trial.report(value, number)
            return bool(trial.should_prune())

    def _tell(self, trial: Any, state: str, value: float | None = None) -> None:
        self.study.tell(trial, value, state=self._optuna.trial.TrialState[state])

    def _met(self, values: Mapping[str, Any], step: int) -> None:
        name = canonical(values)
        self.points.setdefault(name, values)
        self.reached[name] = max(step, self.reached.get(name, 0))

    def _values(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self.choices[name][_labels(self.choices[name]).index(value)] if name in self.choices else value
            for name, value in parameters.items()
        }

    def _distribution(self, options: Span | list[Any]) -> Any:
        kinds = self._optuna.distributions
        if not isinstance(options, Span):
            return kinds.CategoricalDistribution(_labels(options))
        if options.integer:
            return kinds.IntDistribution(int(options.low), int(options.high), log=options.log)
        return kinds.FloatDistribution(options.low, options.high, log=options.log)

    def _pruner(self) -> Any:
        if self.pruner == "wilcoxon":
            return self._optuna.pruners.WilcoxonPruner()
        return self._optuna.pruners.MedianPruner() if self.pruner == "median" else self._optuna.pruners.NopPruner()

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Optuna's notes on new studies and on what is experimental are of no use to who reads a sweep."""
        before = self._optuna.logging.get_verbosity()
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            self._optuna.logging.set_verbosity(before)


def check_search(sampler: object, pruner: object, samples: int | None) -> None:
    """Raise ``InvalidArgumentError`` where what is asked for has no effect, and ``MissingExtraError`` without Optuna."""
    checks.choice("sampler", sampler, SAMPLERS)
    checks.choice("pruner", pruner, PRUNERS)
    if sampler == "random":
        checks.choice("pruner, where the sampler is random,", pruner, PRUNERS[:1])
        return
    checks.integer("samples", samples, 1, 100_000)
    _optuna()


def _labels(options: Sequence[Any]) -> list[str]:
    """Choices as texts, which are all that Optuna stores besides numbers and booleans."""
    return [canonical(option) for option in options]


def _facts(trial: Any) -> tuple[Any, ...]:
    return trial.params, trial.state, trial.value, trial.intermediate_values


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "optuna") from error
    return optuna
