"""Replies judged where they were given: against the response on the points, over several commitments, and how far a fit errs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.commitments.networks import MLPGaussianPolicy
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.representations import replies
from stackelberg_games.representations.anchors import PointModel
from stackelberg_games.representations.replies import remembered, surprise
from stackelberg_games.representations.world import Transitions
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from tests.test_embedded_game import lopsided, made

TAU = 0.8


def fitted(kind: str) -> tuple[PointModel, Commitment, Commitment]:
    """A model of two batches under two commitments, hardly trained: what it says need not be true here."""
    game: Any = sg.make("guided_pendulum-v0", horizon=6) if kind == "real" else made(20)
    policies = [MLPGaussianPolicy(game, ()) if kind == "real" else lopsided(game) for _ in range(2)]
    assign(policies[1], flatten(policies[0]) + 0.3)
    follower = sg.make_follower("soft_value_iteration", temperature=TAU)
    if kind == "real":
        follower = sg.make_follower("grid_planner", temperature=TAU, points=15, replies=5)
    follower.begin(game)
    model = PointModel(replace(game.view(TAU), follower_sees_action=kind != "blind"), policies[0], 60, 20, 0)
    for seed, policy in enumerate(policies):
        model.observe(sg.rollout(game, policy, follower.respond(game, policy).policy, episodes=8, seed=seed), policy)
    return model, policies[0], policies[1]


def rows(stages: Transitions, first: int, last: int) -> Transitions:
    return Transitions(*(part[first:last] for part in stages))


@pytest.mark.parametrize("kind", ["seen", "blind", "real"])
def test_at_a_point_a_reply_is_as_likely_as_the_response_there_says(kind: str) -> None:
    model, policy, _ = fitted(kind)
    game, draws = model.game(), np.random.default_rng(0)
    state, action = (draws.integers(size, size=40) for size in game.shape[:2])
    stages = rows(model.world.seen, 0, 40)
    stages = Transitions(game.features[state], game.leader.vectors[action], *stages[2:])
    arrays = game.arrays(game.policy(policy), TAU)
    response = soft_response(arrays, TAU, tolerance=1e-10).policy[state, action]
    wanted = -(game.follower.laid(stages.follower) * np.log(response)).sum()
    assert surprise(game, [(policy, stages)]).at(TAU) == pytest.approx(wanted, rel=1e-4)


def test_all_batches_are_judged_by_what_is_known_now_and_no_more_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    model, *policies = fitted("seen")
    game, seen = model.game(replies.COVER), model.world.seen
    half = len(seen) // 2
    parts = [(policies[0], rows(seen, 0, half)), (policies[1], rows(seen, half, len(seen)))]
    each = [surprise(game, [part]).at(TAU) for part in parts]
    assert remembered(model, game).at(TAU) == pytest.approx(sum(each), rel=1e-6)
    assert len(model.game().features) <= model.anchors
    again = PointModel(model.view, policies[0], 60, 20, 0)
    again.load_state_dict(model.state_dict())
    assert remembered(again, again.game()).at(TAU) == remembered(model, game).at(TAU)
    monkeypatch.setattr(replies, "STAGES", half + 3)
    some = surprise(game, [(policies[0], rows(seen, half - 3, half)), parts[1]]).at(TAU)
    assert remembered(model, game).at(TAU) == pytest.approx(some, rel=1e-6)
    monkeypatch.setattr(replies, "CELLS", 3 * half)
    assert remembered(model, game).at(TAU) == pytest.approx(each[1], rel=1e-6)


def test_a_fit_errs_by_as_much_as_the_replies_in_a_place_go_together() -> None:
    model, policy, _ = fitted("seen")
    game, seen = model.game(), model.world.seen
    first = np.unique(seen.states, axis=0, return_index=True)[1]
    apart = Transitions(*(part[first] for part in seen))
    together = Transitions(*(np.repeat(part, 7, axis=0) for part in apart))
    for stages, wanted in ((apart, 1.0), (together, 7.0)):
        found = surprise(game, [(policy, stages)]).dispersion
        assert found is not None
        assert found(TAU) == pytest.approx(wanted)
