"""The headline of a tournament: who won, or why nobody is named, and who did better with less information."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stackelberg_games.learning.information import Division, Empowered, Information
from stackelberg_games.tournaments.charts import percent
from stackelberg_games.tournaments.leaderboard import Standing, classes, common_tasks, compare, complete, mean_score
from stackelberg_games.tournaments.payoffs import Payoffs
from stackelberg_games.tournaments.statistics import Comparison, Estimate

State = Literal["no scores", "incomplete", "alone", "winner", "tied", "divided"]
Standings = Mapping[Division, Sequence[Standing]]


@dataclass(frozen=True)
class Verdict:
    """What the headline says of one class.

    Attributes:
        state: ``"winner"`` only if every match of the class is finished and the leader with the highest
            score beats every other one: the interval of its share of pairs lies above a half, and it
            does not lose most pairs of the same seed. Else ``"divided"`` if some leader beats it, or
            ``"tied"``.
        information: the class; None without any score.
        first: the leader with the highest score.
        contenders: who beats it, or else is not beaten by it, best first.
        against: the next best leader, or the first contender; None if it is alone.
        versus: the first leader's pairs with that one; None with a single seed.
        sentence: the headline.
    """

    state: State
    information: Division | None
    first: Standing | None
    contenders: tuple[Standing, ...]
    against: Standing | None
    versus: Comparison | None
    sentence: str


@dataclass(frozen=True)
class Upset:
    """A leader that scored higher than leaders that see more.

    Attributes:
        leader, information: who.
        score: on the tasks that it has in common with ``others``.
        others: leaders of the higher class with lower scores, their scores, and its pairs with them.
    """

    leader: str
    information: Division
    score: Estimate
    others: tuple[tuple[str, Estimate, Comparison | None], ...]

    @property
    def sentence(self) -> str:
        """One line for people."""
        found = []
        for label, score, pairs in self.others:
            share = "" if pairs is None else f", beaten in {percent(pairs.value)} of pairs"
            found.append(f"{label} ({score.value:.3f}{share})")
        seen = f"{self.leader} sees less ({self.information.name}) and scores higher, {self.score.value:.3f}, than "
        return f"{seen}{', '.join(found[:-1])}{' and ' if len(found) > 1 else ''}{found[-1]}."


def verdict(results: Payoffs, standings: Standings) -> Verdict:
    """The headline for the class the project is about.

    That is TRAJECTORIES, or the class with the most leaders where nobody plays in it.
    """
    home = Information.TRAJECTORIES
    scored = {i: [s for s in rows if not np.isnan(s.score.value)] for i, rows in standings.items()}
    played = [i for i, rows in scored.items() if rows]
    if not played:
        early = results.missing or results.failures
        why = " yet" if early else ": there is nothing to gain from random play in these games"
        return Verdict("no scores", None, None, (), None, None, f"No leader has a score{why}.")
    chosen = home if home in played else max(played, key=lambda i: len(scored[i]))
    members = [s.leader for s in standings[chosen]]
    first, *others = sorted(scored[chosen], key=lambda s: -s.score.value)
    if not complete(results, members):
        return Verdict("incomplete", chosen, first, (), None, None, _unfinished(results, chosen, members))
    if not others:
        return Verdict("alone", chosen, first, (), None, None, f"{first.leader} reaches {_gain(first)}.")
    return _decided(chosen, first, others, compare(results, members))


def _decided(
    chosen: Division, first: Standing, others: list[Standing], pairs: Mapping[tuple[str, str], Comparison]
) -> Verdict:
    """The headline of a complete class of several leaders."""
    met = {s.leader: pairs.get((first.leader, s.leader)) for s in others}
    above = tuple(s for s in others if (found := met[s.leader]) and found.reversed().beats)
    level = tuple(s for s in others if not ((found := met[s.leader]) and found.beats))
    if above:
        lost = pairs[above[0].leader, first.leader]
        sentence = (
            f"No winner: {first.leader} has the highest score, but its runs lose to those of {above[0].leader} in "
            f"{percent(lost.value)} of pairs."
        )
        return Verdict("divided", chosen, first, above, above[0], met[above[0].leader], sentence)
    if level:
        names = " or ".join(s.leader for s in level)
        sentence = (
            f"No winner: {first.leader} has the highest score, but its pairs of runs do not show that it beats {names}."
        )
        return Verdict("tied", chosen, first, level, level[0], met[level[0].leader], sentence)
    best = others[0]
    sentence = (
        f"{first.leader} wins: it reaches {_gain(first)}, the next best, {best.leader}, {percent(best.score.value)}."
    )
    return Verdict("winner", chosen, first, (), best, met[best.leader], sentence)


def _gain(standing: Standing) -> str:
    return f"{percent(standing.score.value)} of what there is to gain"


def _unfinished(results: Payoffs, chosen: Division, members: list[str]) -> str:
    planned, finished, failed, _ = results.progress(members)
    lost = f" ({failed} failed)" if failed else ""
    sentence = f"No winner yet: {finished:,} of {planned:,} matches of class {chosen.name} are finished{lost}"
    waiting = results.progress(results.references).missing
    return sentence + (f", and {waiting} of reference players are missing." if waiting else ".")


def upsets(results: Payoffs) -> dict[Division, Upset]:
    """For each class, the leader that sees less and scores higher than some of its members, if there is one.

    The best of those leaders is taken, each pair on the tasks that both have in common.
    """
    found: dict[Division, Upset] = {}
    below: list[str] = []
    for information, members in classes(results).items():
        sees = information.information if isinstance(information, Empowered) else information
        less_seen = [m for m in below if results.information[m] < sees]
        tasks = common_tasks(results, [*less_seen, *members])
        lower = [(mean_score(results, m, tasks), m) for m in less_seen]
        known = [(score, m) for score, m in lower if not np.isnan(score.value)]
        if known:
            score, best = max(known, key=lambda entry: entry[0].value)
            scores = {m: mean_score(results, m, tasks) for m in members}
            less = sorted((m for m in members if scores[m].value < score.value), key=lambda m: -scores[m].value)
            pairs = compare(results, [best, *less])
            others = tuple((m, scores[m], pairs.get((best, m))) for m in less)
            if others:
                found[information] = Upset(best, results.information[best], score, others)
        below += members if isinstance(information, Information) else []  # who does more is not merely blinder
    return found
