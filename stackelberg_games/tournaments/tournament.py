"""Tournaments: leaders x followers x games x seeds, resumable and safe against crashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from stackelberg_games import checks
from stackelberg_games._version import __version__
from stackelberg_games.errors import (
    InformationError,
    InvalidArgumentError,
    StackelbergError,
    UnsupportedGameError,
    retold,
)
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning.follower import Follower
from stackelberg_games.learning.information import Division, Information
from stackelberg_games.learning.leader import Leader, told
from stackelberg_games.learning.powers import Lent
from stackelberg_games.learning.registry import refusals_named
from stackelberg_games.learning.training import train
from stackelberg_games.numerics.randomness import check_seed
from stackelberg_games.play.rollout import TabularResponse
from stackelberg_games.tournaments.contestant import Contestant, Spec, plain, roster
from stackelberg_games.tournaments.keeping import play_matches
from stackelberg_games.tournaments.match import BEST, OWN, REFERENCES, Match, MatchRules, Reference
from stackelberg_games.tournaments.results import Results
from stackelberg_games.tournaments.runner import Backend

MAX_MATCHES = 10_000_000
"""More would not be planned in a few minutes, nor fit the driver's memory."""
BASELINE = "policy_gradient"
"""Joins as a reference where it can play every game and follower."""
_RULES = ("stages", "points", "evaluation_episodes")
Specs = Sequence[Spec] | Mapping[str, Spec] | Spec


class Tournament:
    """Every leader meets every follower in every game, once for each seed.

    Examples:
        >>> import stackelberg_games as sg
        >>> cup = sg.Tournament(
        ...     "discrete_toy-v0",
        ...     ["bchg", "random_search"],
        ...     "soft_value_iteration",
        ...     seeds=3,
        ...     budget=2_000,
        ...     episodes=1,
        ... )
        >>> len(cup.matches)  # the two, the naive policy gradient, and three reference players once
        12

    Args:
        games: ids, (id, settings) pairs or game objects; a mapping gives them labels.
        leaders: likewise. The naive policy gradient is added as a reference if it is missing and can play.
        followers: likewise; the followers that leaders train against.
        seeds: a number n for seeds 0..n-1, or the seeds themselves.
        budget: transitions a leader may play in a match; a mapping gives one for each game label.
        episodes: in every batch; a mapping gives one for each game label.
        held_out: followers the commitments are measured against and never trained with.
        references: whether the exact optimum, the best deterministic commitment, uniform random
            play and the naive policy gradient take part.
        bounds: payoffs that count as 0 and 1, by game label; by default those of uniform random
            play and of the exact optimum.
        rules: ``stages``, ``points`` and ``evaluation_episodes`` of ``MatchRules``.

    Raises:
        UnknownIdError: an id is not registered; the closest one is suggested.
        InvalidArgumentError: a setting is unknown or out of range, or two contestants are the same.
        InformationError: a leader needs what a follower cannot give.
        UnsupportedGameError: a leader or a follower, held-out ones included, cannot play one of the games.
        MissingExtraError: a follower needs a library that is not installed.
    """

    def __init__(
        self,
        games: Specs,
        leaders: Specs,
        followers: Specs,
        *,
        seeds: int | Sequence[int] = 10,
        budget: int | Mapping[str, int] = 45_000,
        episodes: int | Mapping[str, int] = 3,
        held_out: Specs = (),
        references: bool = True,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        **rules: Any,
    ) -> None:
        self.games = roster("game", games)
        self.leaders = roster("leader", leaders)
        self.followers = roster("follower", followers)
        self.held_out = roster("follower", held_out, empty=True)
        self.seeds = seed_list(seeds)
        self.references = REFERENCES if checks.flag("references", references) else ()
        if references and not any(leader.id == BASELINE for leader in self.leaders):
            self.leaders += self._baseline()
        labels = [game.label for game in self.games]
        for name in rules:
            if name not in _RULES:
                raise InvalidArgumentError(f"unknown rule {name!r}; known: {', '.join(_RULES)}")
        self.bounds = _bounds({} if bounds is None else bounds, labels)
        budgets, batches = _by_game("budget", budget, labels), _by_game("episodes", episodes, labels)
        self.rules = {label: MatchRules(budgets[label], batches[label], **rules) for label in labels}
        self._check_names()
        self._check_size()
        self.leader_classes = self._check_pairs()
        self.matches = tuple(self._schedule())

    def play(
        self,
        store: str | Path | None = None,
        *,
        backend: Backend = "processes",
        workers: int = 1,
        timeout: float | None = None,
        retry: bool = True,
        replay_damaged: bool = False,
        address: str | None = None,
        progress: bool | None = None,
    ) -> Results:
        """Play what is missing and return the results of all matches.

        Args:
            store: a folder that keeps every finished match; None to keep nothing.
            replay_damaged: whether matches whose rows in the store are damaged are played again; an
                error says so otherwise.
            backend: ``"serial"`` in this process, ``"processes"`` on this machine, or ``"ray"`` on a cluster.
            workers: how many matches at the same time; -1 for one on every core.
            timeout: seconds of wall time for each match.
            address: of the Ray cluster; a local one is started if not given.
            retry: whether matches that failed in an earlier run are played again.
            progress: show a bar; by default where standard error is a terminal, and elsewhere a line is logged
                now and then.

        Raises:
            StoreError: the folder cannot be written to and lacks matches, or another run is writing to it.
        """
        how: dict[str, Any] = {"backend": backend, "workers": workers, "timeout": timeout, "address": address}
        how |= {"retry": retry, "replay_damaged": replay_damaged, "what": "matches", "progress": progress}
        return Results(self.plan(), play_matches(self.matches, self.plan(), store, **how))

    def rehearse(self) -> None:
        """Play one update of every leader that is not of this package, in every game against the first follower.

        Who cannot play a game fails in all its matches; this says so before the first one. Nothing is kept.

        Raises:
            UnsupportedGameError: a leader fails; what it raised is named, with the game.
        """
        problems = []
        for game, leader in product(self.games, self.leaders):
            if not type(leader.build()).__module__.startswith("stackelberg_games."):
                try:
                    self._rehearse(game, leader)
                except Exception as error:  # noqa: BLE001 (it is code of the caller's)
                    problems.append(f"leader {leader.label!r} in {game.label!r}: {type(error).__name__}: {error}")
        if problems:
            raise UnsupportedGameError(
                f"a first update fails, so nothing was played: {'; '.join(problems)}; mend the leader, or leave these games "
                "out (--game LABEL, once for each that is played)"
            )

    def _rehearse(self, game: Contestant, leader: Contestant) -> None:
        rules = self.rules[game.label]
        how: dict[str, Any] = {"episodes": rules.episodes, "stages": rules.stages, "evaluate_every": 0}
        train(game.build(), leader.build(), self.followers[0].build(), iterations=1, progress=False, **how)

    def plan(self) -> dict[str, Any]:
        """The tournament as plain data: who takes part, by which rules, and the keys of all matches."""
        names: dict[str, Any] = {
            kind: [{"label": m.label, "id": m.id, "settings": plain(m.settings)} for m in members]
            for kind, members in (
                ("games", self.games),
                ("leaders", self.leaders),
                ("followers", self.followers),
                ("held_out", self.held_out),
            )
        }
        for entry in names["leaders"]:
            entry["information"] = self.leader_classes[entry["label"]].name
        index = [
            [m.key, m.game.label, m.leader.label, m.follower.label, None if isinstance(m.leader, Reference) else m.seed]
            for m in self.matches
        ]
        return {
            "version": __version__,
            **names,
            "references": [reference.label for reference in self.references],
            "seeds": list(self.seeds),
            "rules": {label: asdict(rules) for label, rules in self.rules.items()},
            "bounds": self.bounds,
            "matches": index,
        }

    def _schedule(self) -> Iterator[Match]:
        """Reference players once for each game and follower, the leaders once for each seed."""
        for game in self.games:
            rules = self.rules[game.label]
            for follower in self.followers:
                for reference in self.references:
                    yield Match(game, reference, follower, self.seeds[0], rules, self.held_out)
                for leader in self.leaders:
                    for seed in self.seeds:
                        yield Match(game, leader, follower, seed, rules, self.held_out)

    def _check_names(self) -> None:
        taken = {reference.label for reference in self.references}
        for leader in self.leaders:
            if leader.label in taken:
                raise InvalidArgumentError(f"the label {leader.label!r} belongs to a reference player")
        for follower in self.held_out:
            if follower.label in (BEST, OWN):
                raise InvalidArgumentError(f"the label {follower.label!r} is reserved; give this follower another")

    def _baseline(self) -> tuple[Contestant, ...]:
        """The naive policy gradient, where it can play all these games."""
        candidate = Contestant.of("leader", BASELINE)
        with suppress(UnsupportedGameError, InformationError):
            for game in self.games:
                for follower in self.followers:
                    check_pair(game.build(), candidate.build(), follower.build())
            return (candidate,)
        return ()

    def _check_size(self) -> None:
        players = len(self.references) + len(self.leaders) * len(self.seeds)
        count = len(self.games) * len(self.followers) * players
        if count > MAX_MATCHES:
            raise InvalidArgumentError(
                f"a tournament of {count:,} matches: expected at most {MAX_MATCHES:,}; use fewer seeds"
            )

    def _check_pairs(self) -> dict[str, Division]:
        """Start every follower in every game, and every leader with it, before anything is played."""
        problems = dict(problem for game in self.games for problem in self._problems(game))
        if problems:
            raise retold(next(iter(problems.values())), "; ".join(problems))
        return {leader.label: leader.build().division for leader in self.leaders}

    def _problems(self, game_data: Contestant) -> Iterator[tuple[str, StackelbergError]]:
        """Who cannot play one of the games, and why."""
        game, label = game_data.build(), game_data.label
        check_rules(game, self.rules[label], label)
        roles = [*((follower, self.leaders) for follower in self.followers), *((other, ()) for other in self.held_out)]
        for follower_data, leaders in roles:
            follower = follower_data.build()
            try:
                with follower:
                    follower.begin(game)
            except StackelbergError as error:
                yield f"follower {follower_data.label!r} cannot play {label!r}: {error}", error
                continue
            for leader_data in leaders:
                try:
                    leader = leader_data.build()
                    check_rules(game, self.rules[label], label, 1 + leader.further_batches)
                    check_pair(game, leader, follower)
                except StackelbergError as error:
                    where = f"leader {leader_data.label!r} cannot play follower {follower_data.label!r} in"
                    yield f"{where} {label!r}: {error}", error


def check_rules(game: Game, rules: MatchRules, label: str, batches: int = 1) -> None:
    """Raise ``InvalidArgumentError`` where a match by these rules could not be played in a game.

    Args:
        game: the rules of the game.
        rules: of the match.
        label: of the game.
        batches: that the leader has played for an update.
    """
    if rules.stages is not None and game.horizon is not None and rules.stages > game.horizon:
        raise InvalidArgumentError(f"stages={rules.stages!r}: episodes of {label} have {game.horizon} stages")
    needed = batches * rules.episodes * (rules.stages or game.stages())
    if rules.budget < needed:
        taken = "a batch" if batches == 1 else f"an update with {batches} batches"
        raise InvalidArgumentError(
            f"budget={rules.budget!r}, episodes={rules.episodes!r}: {taken} in {label} takes up to {needed} transitions; "
            "the budget must cover one"
        )


def check_pair(game: Game, leader: Leader, follower: Follower) -> None:
    """Raise what starting this match would raise: a leader may ask for more than a follower gives.

    A follower that leaders want to read is asked for one response.

    Raises:
        InformationError: the leader needs the temperature, the policy as a table or the values of
            a follower that has none.
        UnsupportedGameError: the leader is not defined for this game, or cannot be lent what it does beside committing.
    """
    with refusals_named("leader", leader, game):
        leader.begin(told(game, leader, follower.declared_temperature))
        Lent(leader.powers, game, follower, seed=0)  # what it does beside committing
    if not Information.FOLLOWER_POLICY <= leader.information < Information.MODEL:
        return
    with follower:
        follower.begin(game)
        answer = follower.respond(game, leader.commitment)
    if leader.information >= Information.FOLLOWER_VALUES and answer.values is None:
        raise InformationError(
            f"{type(leader).__name__} reads the follower's values; {type(follower).__name__} has none"
        )
    if isinstance(game, TabularGame) and not isinstance(answer.policy, TabularResponse):
        raise InformationError(
            f"{type(leader).__name__} reads the follower's policy; {type(follower).__name__} hides it"
        )


def seed_list(seeds: Any) -> tuple[int, ...]:
    """Seeds 0..n-1 for a number n, or a list of different seeds.

    Raises:
        InvalidArgumentError: it is neither.
    """
    if checks.is_integer(seeds):
        return tuple(range(checks.integer("seeds", seeds, 1, MAX_MATCHES)))
    if isinstance(seeds, np.ndarray) and seeds.ndim == 1:
        seeds = list(seeds)
    if not isinstance(seeds, list | tuple | range):
        raise InvalidArgumentError(
            f"seeds={checks.shown(seeds)}: expected an integer >= 1, or a list of different seeds"
        )
    checks.integer("the number of seeds", len(seeds), 1, MAX_MATCHES)
    numbers = tuple(check_seed(seed) for seed in seeds)
    if len(set(numbers)) != len(numbers):
        raise InvalidArgumentError(f"seeds={checks.shown(seeds)}: expected different seeds")
    return numbers


def _by_game(name: str, value: Any, labels: list[str]) -> dict[str, int]:
    if not isinstance(value, Mapping):
        return dict.fromkeys(labels, checks.integer(name, value, 1))
    values = dict(value)
    if set(values) != set(labels):
        raise InvalidArgumentError(f"{name} is given for {checks.shown(list(values))}: expected the games {labels}")
    return {label: checks.integer(f"{name} of {label!r}", number, 1) for label, number in values.items()}


def _bounds(bounds: Any, labels: list[str]) -> dict[str, list[float]]:
    if not isinstance(bounds, Mapping):
        raise InvalidArgumentError(f"bounds={checks.shown(bounds)}: expected a table of (low, high) by game label")
    found = {}
    for label, pair in bounds.items():
        if label not in labels or not isinstance(pair, list | tuple | np.ndarray) or len(pair) != 2:
            raise InvalidArgumentError(
                f"bounds of {checks.shown(label)} are {checks.shown(pair)}: expected (low, high) of one of {labels}"
            )
        low = checks.number(f"bounds of {label!r}: low", pair[0])
        found[label] = [low, checks.number(f"bounds of {label!r}: high", pair[1], above=low)]
    return found
