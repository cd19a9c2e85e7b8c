"""Sweeps: settings of game, leader and follower x seeds, through the store and the runner of tournaments.

Points are all combinations of lists, random draws, or what Optuna suggests. Every point plays the seeds for tuning, unless it is given
up. In every game and against every follower the point whose leader is
paid most, on average over them, of those of its class is chosen, and plays the seeds for reporting, which have chosen nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from stackelberg_games import checks, files
from stackelberg_games._version import __version__
from stackelberg_games.errors import InvalidArgumentError, StackelbergError, retold
from stackelberg_games.learning.experiment import Experiment
from stackelberg_games.learning.registry import Kind
from stackelberg_games.numerics.randomness import check_seed
from stackelberg_games.progress import progress_of
from stackelberg_games.tournaments import optuna_search
from stackelberg_games.tournaments.contestant import Contestant, Spec, canonical, plain
from stackelberg_games.tournaments.keeping import play_matches
from stackelberg_games.tournaments.match import Match, MatchRules, Outcome
from stackelberg_games.tournaments.search_space import Search, Span, combinations, space_of
from stackelberg_games.tournaments.sweep_results import SweepResults, payoff_of
from stackelberg_games.tournaments.tournament import MAX_MATCHES, check_pair, check_rules, seed_list

KINDS: tuple[Kind, ...] = ("game", "leader", "follower")
RULES = tuple(rule.name for rule in fields(MatchRules))


@dataclass(frozen=True)
class Point:
    """One combination of settings.

    Attributes:
        values: what was searched, by setting.
        game, leader, follower, rules: with these settings.
        division: class of the leader; see ``Leader.division``.
    """

    values: Mapping[str, Any]
    game: Contestant
    leader: Contestant
    follower: Contestant
    rules: MatchRules
    division: str

    def match(self, seed: int) -> Match:
        """Its match with a seed; see ``Match``."""
        return Match(self.game, self.leader, self.follower, seed, self.rules)

    @property
    def task(self) -> str:
        """What its leader faces, and what it sees and does there; payoffs are compared within a task."""
        facts = canonical([self.game.identity, self.follower.identity, self.division])
        return hashlib.sha256(facts.encode()).hexdigest()[:16]


class Sweep:
    """Settings of a game, a leader and a follower, tried with several seeds.

    Examples:
        >>> from stackelberg_games.tournaments.sweep import Sweep
        >>> planned = Sweep(
        ...     {"leader.learning_rate": [0.01, 0.1], "follower.temperature": [0.05, 0.2]}, seeds=3
        ... )
        >>> len(planned.points), sum(len(matches) for matches in planned.matches)
        (4, 12)

    Args:
        search: lists or ranges by setting, as ``{"leader.learning_rate": [0.01, 0.1]}`` or
            ``{"follower.temperature": {"low": 0.01, "high": 1.0, "log": True}}``. A setting is ``game.``,
            ``leader.`` or ``follower.`` and its name (``id`` for another one altogether), or ``training.`` and a
            field of ``MatchRules``.
        game: what its settings belong to: an id, an (id, settings) pair or an object.
        leader: likewise.
        follower: likewise.
        seeds: for tuning; a number n for seeds 0..n-1, or the seeds themselves.
        report_seeds: for reporting what was chosen; a number n for the n seeds after those for tuning, or the
            seeds themselves. With 0 nothing is reported apart.
        samples: how many points are drawn; if None, every combination of the lists.
        search_seed: of the draws.
        sampler: ``"random"``, or ``"tpe"``: Optuna's tree-structured Parzen estimator, which draws where earlier points were
            paid well; needs the extra ``optuna``. It compares all points, so that settings of the leader and of the training
            can be searched, and leaders of one class.
        pruner: which points are given up before they have played all seeds for tuning: ``"none"``, ``"median"`` or
            ``"wilcoxon"``; see ``optuna_search.OptunaSearch``.
        rules: fields of ``MatchRules``; ``budget`` is 45,000 if not given.

    Raises:
        UnknownIdError, InformationError, UnsupportedGameError, MissingExtraError: see ``Tournament``.
        InvalidArgumentError: a setting is unknown or out of range at some point, or a seed is for both.
    """

    def __init__(
        self,
        search: Search,
        *,
        game: Spec = "discrete_toy-v0",
        leader: Spec = "bchg",
        follower: Spec = "soft_value_iteration",
        seeds: int | Sequence[int] = 5,
        report_seeds: int | Sequence[int] = 10,
        samples: int | None = None,
        search_seed: int = 0,
        sampler: str = "random",
        pruner: str = "none",
        **rules: Any,
    ) -> None:
        self.seeds = seed_list(seeds)
        self.report_seeds = _apart(report_seeds, self.seeds)
        self.samples, self.search_seed = samples, check_seed(search_seed)
        self._base = {
            kind: Contestant.of(kind, spec) for kind, spec in zip(KINDS, (game, leader, follower), strict=True)
        }
        self._rules = {"budget": 45_000, **_known_rules(rules)}
        self._made: dict[tuple[Kind, str], Contestant] = {}
        self._divisions: dict[str, str] = {}
        self.sampler, self.pruner = sampler, pruner
        optuna_search.check_search(sampler, pruner, samples)
        self._space = space_of(search)
        tried = combinations(search, samples, search_seed) if sampler == "random" else self._probes(search)
        for rule, given in rules.items():
            if f"training.{rule}" in self._space:
                raise InvalidArgumentError(f"{rule}={given!r} and training.{rule} is searched: expected one of them")
        self._known: set[tuple[str, ...]] = set()
        self.points = [self._point(values) for values in tried]
        self._check_points(self.points)
        self._task = self.points[0].task
        if sampler != "random":
            self._check_task(self.points)
            self.points = []
        self.matches = [[point.match(seed) for seed in self.seeds] for point in self.points]

    def play(
        self, store: str | Path | None = None, *, retry: bool = True, replay_damaged: bool = False, **how: Any
    ) -> SweepResults:
        """Play what is missing, choose, and play what is reported.

        Args:
            store: a folder that keeps every finished run; None to keep nothing.
            retry: see ``Tournament.play``.
            replay_damaged: see ``Tournament.play``.
            how: ``backend``, ``workers``, ``timeout``, ``address`` and ``progress`` of ``Tournament.play``.

        Raises:
            StoreError: see ``Tournament.play``.
        """
        keep = {"retry": retry, "replay_damaged": replay_damaged, "what": "runs", **how}
        if self.sampler == "random":
            every = [match for matches in self.matches for match in matches]
            outcomes = play_matches(every, self.plan(), store, **keep)
        else:
            outcomes = self._search(store, keep)
        tuned = SweepResults(self.plan(), outcomes)
        reports = {number: self._reports(number) for number in tuned.chosen.values()}
        plan = self.plan(reports)
        outcomes = play_matches([m for matches in reports.values() for m in matches], plan, store, **keep)
        return SweepResults(plan, {**tuned.outcomes, **outcomes})

    def _search(self, store: str | Path | None, how: Mapping[str, Any]) -> dict[str, Outcome]:
        """Play the seeds for tuning of what Optuna suggests; its points are then those of the sweep."""
        study = optuna_search.OptunaSearch(self._space, len(self.seeds), self.pruner, self.search_seed)
        outcomes: dict[str, Outcome] = {}
        trials = checks.integer("samples", self.samples, 1)
        folder = None if store is None else checks.path("store", store)

        def paid(values: Sequence[Mapping[str, Any]], seeds: int) -> list[list[float]]:
            self._follow(study)
            matches = [[self._point(point).match(seed) for seed in self.seeds[:seeds]] for point in values]
            every, plan = [match for some in matches for match in some], self.plan(trials=study.trials)
            outcomes.update(play_matches(every, plan, store, **{**how, "progress": False}))
            return [[payoff_of(outcomes[match.key]) for match in some] for some in matches]

        with progress_of("trials", trials, how.get("progress")) as advance:
            for done in study.play(trials, paid):
                if folder is not None and not files.is_read_only(folder):
                    study.keep(folder, f"sweep {self._digest}")
                advance(done, f"{study.given_up} given up" if self.pruner != "none" else "")
        return outcomes

    def _follow(self, study: optuna_search.OptunaSearch) -> None:
        """Take over the points of a study, and the seeds that they have reached."""
        for values in [*study.points.values()][len(self.points) :]:
            self.points.append(self._point(values))
            self._check_points(self.points[-1:])
            self._check_task(self.points[-1:])
        reached = study.reached.values()
        self.matches = [
            [point.match(seed) for seed in self.seeds[:count]]
            for point, count in zip(self.points, reached, strict=True)
        ]

    @property
    def _digest(self) -> str:
        """Tells searches apart that suggest different points."""
        base = [self._base[kind].identity for kind in KINDS]
        space = {name: str(options) for name, options in self._space.items()}
        facts = canonical([base, space, self._rules, self.seeds, self.search_seed, self.sampler, self.pruner])
        return hashlib.sha256(facts.encode()).hexdigest()[:16]

    def _probes(self, search: Search) -> list[dict[str, Any]]:
        """Every value of every list, and the ends of every range, one setting at a time."""
        ends = {name: [o.low, o.high] if isinstance(o, Span) else o for name, o in self._space.items()}
        first = {name: values[0] for name, values in ends.items()}
        return [{**first, name: value} for name, values in ends.items() for value in values]

    def plan(
        self, reports: Mapping[int, Sequence[Match]] | None = None, *, trials: int | None = None
    ) -> dict[str, Any]:
        """The sweep as plain data, with the keys of all runs; see ``SweepResults``.

        Args:
            reports: runs for reporting by the number of their point.
            trials: how many of a search are finished, while it goes on.
        """
        points = [
            {
                "values": plain(point.values),
                "game": point.game.label,
                "leader": point.leader.label,
                "follower": point.follower.label,
                "task": point.task,
                "information": point.division,
                "rules": asdict(point.rules),
                "keys": [match.key for match in matches],
            }
            for point, matches in zip(self.points, self.matches, strict=True)
        ]
        return {
            "kind": "sweep",
            "version": __version__,
            "samples": self.samples,
            "sampler": self.sampler,
            "pruner": self.pruner,
            "trials": self.samples if trials is None else trials,
            "search_seed": self.search_seed,
            "seeds": list(self.seeds),
            "report_seeds": list(self.report_seeds),
            "points": points,
            "reports": {str(number): [m.key for m in matches] for number, matches in (reports or {}).items()},
        }

    def _reports(self, number: int) -> list[Match]:
        return [self.points[number].match(seed) for seed in self.report_seeds]

    def _point(self, values: Mapping[str, Any]) -> Point:
        """A point with its settings; mistakes name the point."""
        rules = dict(self._rules)
        pairs: list[tuple[str, Any]] = []
        for name, value in values.items():
            section, _, key = name.partition(".")
            if section == "training":
                rules |= _known_rules({key: value})
            else:
                pairs.append((name, checks.choice("section", section, KINDS) and value))
        try:
            made = {kind: self._contestant(kind, pairs) for kind in KINDS}
            return Point(values, **made, rules=MatchRules(**rules), division=self._division(made["leader"]))
        except StackelbergError as error:
            raise InvalidArgumentError(f"{described(values)}: {error}") from error

    def _contestant(self, kind: Kind, pairs: Sequence[tuple[str, Any]]) -> Contestant:
        """The base with some settings replaced; made once for each combination of its own settings."""
        base, own = self._base[kind], [pair for pair in pairs if pair[0].startswith(f"{kind}.")]
        address = kind, canonical(own)
        if address not in self._made:
            section = {"id": base.id, **base.settings}
            settings = dict(Experiment({kind: section}).override(own).sections[kind])
            wanted = settings.pop("id")
            same = wanted == base.id
            self._made[address] = base.varied(settings) if same else Contestant.of(kind, (wanted, settings))
        return self._made[address]

    def _division(self, leader: Contestant) -> str:
        if leader.identity not in self._divisions:
            self._divisions[leader.identity] = str(leader.build().division.name)
        return self._divisions[leader.identity]

    def _check_points(self, points: Sequence[Point]) -> None:
        """Each of them can start."""
        for point in points:
            names = (point.task, point.leader.identity, canonical(asdict(point.rules)))
            if names not in self._known:
                try:
                    _check(point)
                except StackelbergError as error:
                    raise retold(error, f"{described(point.values)}: {error}") from error
                self._known.add(names)

    def _check_task(self, points: Sequence[Point]) -> None:
        """Payoffs of all of them may be compared."""
        for point in points:
            if point.task != self._task:
                raise InvalidArgumentError(
                    f"{described(point.values)}: sampler={self.sampler!r} compares all points, and payoffs in different games, "
                    "against different followers or of leaders of different classes are not compared; search settings of the "
                    "leader and of the training, or take sampler='random'"
                )


def sweep(search: Search, *, store: str | Path | None = None, **options: Any) -> SweepResults:
    """Try settings of a game, a leader and a follower with several seeds, and report what was chosen on others.

    Examples:
        >>> import stackelberg_games as sg
        >>> found = sg.sweep(
        ...     {"leader.learning_rate": [0.01, 0.1]},
        ...     game="matrix-v0",
        ...     leader="policy_gradient",
        ...     follower=("soft_value_iteration", {"temperature": 0.1}),
        ...     seeds=2,
        ...     report_seeds=3,
        ...     budget=200,
        ...     points=0,
        ...     progress=False,
        ... )
        >>> len(found.points), list(found.chosen.values())
        (2, [1])

    Args:
        search: see ``Sweep``.
        store: a folder that keeps every finished run, so that a sweep that was killed goes on; None to keep nothing.
        options: of ``Sweep``, and ``backend``, ``workers``, ``timeout``, ``address``, ``retry``, ``replay_damaged``
            and ``progress`` of ``Tournament.play``.

    Raises:
        InvalidArgumentError, StoreError: see ``Sweep`` and ``Sweep.play``.
    """
    how = ("backend", "workers", "timeout", "address", "retry", "replay_damaged", "progress")
    played = {name: options.pop(name) for name in how if name in options}
    return Sweep(search, **options).play(store, **played)


def described(values: Mapping[str, Any]) -> str:
    """A point in words."""
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()
    )


def _check(point: Point) -> None:
    game, leader, follower = point.game.build(), point.leader.build(), point.follower.build()
    check_rules(game, point.rules, point.game.label, 1 + leader.further_batches)
    with follower:
        follower.begin(game)
    check_pair(game, leader, follower)


def _known_rules(rules: Mapping[str, Any]) -> dict[str, Any]:
    for name in rules:
        if name not in RULES:
            raise InvalidArgumentError(f"unknown rule {name!r}; known: {', '.join(RULES)}")
    return dict(rules)


def _apart(report_seeds: int | Sequence[int], tuning: Sequence[int]) -> tuple[int, ...]:
    """Seeds for reporting, none of which has chosen anything."""
    if checks.is_integer(report_seeds):
        count = checks.integer("report_seeds", report_seeds, 0, min(MAX_MATCHES, 2**63 - 1 - max(tuning)))
        return tuple(range(max(tuning) + 1, max(tuning) + 1 + count))
    seeds = seed_list(report_seeds)
    both = sorted(set(seeds) & set(tuning))
    if both:
        raise InvalidArgumentError(
            f"report_seeds={checks.shown(list(seeds))}: {both[0]} is a seed for tuning too; what seeds have chosen looks "
            "better on them than it is, so expected others"
        )
    return seeds
