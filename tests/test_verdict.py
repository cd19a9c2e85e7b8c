"""Headlines: who is named, who is not, and what the pairs of runs say to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import ArrayLike

from stackelberg_games.arrays import FloatArray
from stackelberg_games.learning.information import Information
from stackelberg_games.tournaments.charts import percent
from stackelberg_games.tournaments.match import Outcome
from stackelberg_games.tournaments.payoffs import OPTIMUM
from stackelberg_games.tournaments.results import Results
from stackelberg_games.tournaments.verdict import Verdict, upsets
from tests.made_up import made_up


def cup(*runs: ArrayLike, games: int = 3, classes: Sequence[str] = ("TRAJECTORIES",)) -> Results:
    """Leaders with the same runs, on a scale from 0 to 10, in every game."""
    table = np.array(runs, dtype=float)[None, :, None, :]
    return made_up(np.repeat(table, games, axis=0), classes=classes)


def headline(results: Results) -> Verdict:
    return results.verdict()


AHEAD: FloatArray = np.array([9.0, 9.1, 9.2, 9.3, 9.4])


def test_a_leader_that_beats_every_other_one_wins() -> None:
    found = headline(cup(AHEAD - 5, AHEAD, AHEAD - 3))
    assert found.state == "winner"
    assert found.first is not None
    assert found.against is not None
    assert found.versus is not None
    assert (found.first.leader, found.against.leader, found.versus.tally) == ("l 1", "l 2", "60 of 60")
    assert found.sentence == "l 1 wins: it reaches 92 % of what there is to gain, the next best, l 2, 62 %."


def test_one_match_missing_or_failed_names_nobody() -> None:
    whole = cup(AHEAD, AHEAD - 3)
    for status, said in (("missing", "."), ("failed", " (1 failed).")):
        outcomes = {r.key: r.outcome for r in whole.rows if r.outcome and r.key != "2-1-0-4"}
        outcomes |= {"2-1-0-4": Outcome("failed", error="boom")} if status == "failed" else {}
        found = headline(Results(whole.plan, outcomes))
        assert found.state == "incomplete"
        assert found.sentence == f"No winner yet: 29 of 30 matches of class TRAJECTORIES are finished{said}"
    outcomes = {r.key: r.outcome for r in whole.rows if r.outcome and r.key != f"0-0-{OPTIMUM}"}
    found = headline(Results(whole.plan, outcomes))
    assert found.state == "incomplete"
    assert found.sentence.endswith(
        "30 of 30 matches of class TRAJECTORIES are finished, and 1 of reference players are missing."
    )


def test_a_match_missing_in_another_class_is_no_reason_to_wait() -> None:
    whole = cup(AHEAD, AHEAD - 3, AHEAD - 1, classes=("TRAJECTORIES", "TRAJECTORIES", "MODEL"))
    outcomes = {r.key: r.outcome for r in whole.rows if r.outcome and r.key != "2-2-0-4"}
    assert headline(Results(whole.plan, outcomes)).state == "winner"


def test_what_the_runs_do_not_tell_apart_has_no_winner() -> None:
    draws = np.random.default_rng(0).normal(5.0, 1.0, size=(2, 6))
    found = headline(cup(*draws, AHEAD.repeat(2)[:6] - 8))
    assert found.state == "tied"
    assert found.first is not None
    assert {found.first.leader, *(s.leader for s in found.contenders)} == {"l 0", "l 1"}
    assert found.sentence.startswith("No winner: ")


def test_a_mean_that_the_pairs_contradict_is_no_victory() -> None:
    """The first fails rarely and badly, and wins four of five runs otherwise."""
    often = np.array([9.0, 9.1, 9.2, 9.3, 9.4, 9.5, 9.6, 9.7, 9.8, -9.0])
    found = headline(cup(often, np.linspace(8.0, 8.9, 10)))
    assert found.state == "divided"
    assert found.first is not None
    assert (found.first.leader, found.contenders[0].leader) == ("l 1", "l 0")
    assert found.sentence == "No winner: l 1 has the highest score, but its runs lose to those of l 0 in 90 % of pairs."


def test_losing_the_pairs_of_the_same_seed_is_no_victory() -> None:
    """A little worse in eleven of twenty seeds, and better than everything in the other nine."""
    theirs = np.linspace(1.0, 8.0, 20)
    ours = np.where(np.arange(20) % 2 + (np.arange(20) == 0) > 0, theirs - 0.01, 9.0)
    found = headline(cup(ours, theirs))
    assert found.versus is not None
    assert found.versus.low > 0.5
    assert found.versus.same_seed == 0.45
    assert found.state == "tied"


def test_a_single_leader_and_no_scores_are_said() -> None:
    assert headline(cup(AHEAD)).sentence == "l 0 reaches 92 % of what there is to gain."
    empty = Results(cup(AHEAD).plan, {})
    assert headline(empty).sentence == "No leader has a score yet."
    assert headline(empty).first is None
    flat = made_up(np.full((1, 2, 1, 3), 5.0), optimum=5.0, uniform=5.0)
    assert headline(flat).sentence == "No leader has a score: there is nothing to gain from random play in these games."


def test_one_seed_has_no_winner() -> None:
    found = headline(cup([9.0], [1.0]))
    assert found.state == "tied"
    assert found.versus is None


def test_a_leader_that_sees_less_and_scores_higher_is_named() -> None:
    results = cup(
        AHEAD - 1, AHEAD, AHEAD - 5, AHEAD - 0.5, classes=("TRAJECTORIES", "RETURNS", "TRAJECTORIES", "MODEL")
    )
    found = upsets(results)
    assert set(found) == {Information.TRAJECTORIES, Information.MODEL}
    assert found[Information.TRAJECTORIES].sentence == (
        "l 1 sees less (RETURNS) and scores higher, 0.920, than l 0 (0.820, beaten in 100 % of pairs) and l 2 (0.420, "
        "beaten in 100 % of pairs)."
    )
    assert [label for label, *_ in found[Information.MODEL].others] == ["l 3"]
    assert upsets(cup(AHEAD - 1, AHEAD, classes=("RETURNS", "MODEL"))) == {}


def test_leaders_of_different_classes_are_compared_on_common_tasks() -> None:
    """The first is poor only in the game that the second has not played."""
    whole = cup(AHEAD, AHEAD - 1, classes=("RETURNS", "MODEL"))
    outcomes = {r.key: r.outcome for r in whole.rows if r.outcome and not r.key.startswith("1-1-0-")}
    outcomes |= {r.key: r.outcome for r in cup(AHEAD - 6, AHEAD).rows if r.outcome and r.key.startswith("1-0-0-")}
    results = Results(whole.plan, outcomes)
    assert results.leaderboard()[Information.RETURNS][0].score.value == pytest.approx(0.72)
    found = upsets(results)[Information.MODEL]
    assert found.leader == "l 0"
    assert [found.score.value, found.others[0][1].value] == pytest.approx([0.92, 0.82])


@pytest.mark.parametrize(
    ("share", "text"),
    [
        *((0.0, "0 %"), (0.0001, "0.1 %"), (0.004, "0.4 %"), (0.126, "13 %"), (0.9949, "99 %"), (0.9999, "99.9 %")),
        *((1.0, "100 %"), (1.27, "127 %"), (-0.126, "\N{MINUS SIGN}13 %"), (-0.001, "0 %")),
    ],
)
def test_shares_are_not_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert percent(share) == text
