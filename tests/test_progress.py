"""How far long computations are."""

from __future__ import annotations

import logging
import re

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games import progress
from stackelberg_games.exact.listed_response import Way
from stackelberg_games.kinds.finite import TabularGame


def corridor() -> TabularGame:
    """Two thousand places in a row, in which states know only their neighbours."""
    places = np.arange(2_000)
    successors = np.stack([np.maximum(places - 1, 0), np.minimum(places + 1, 1_999)], axis=1)[:, None, :, None]
    reward = np.broadcast_to((places[:, None, None] == 1_999).astype(float), (2_000, 1, 2))
    first = (places == 0).astype(float)
    return TabularGame.from_successors(
        successors, np.ones(successors.shape), reward, reward, first, leader_discount=0.99, follower_discount=0.99
    )


def percents(caplog: pytest.LogCaptureFixture) -> list[int]:
    lines = [record.getMessage() for record in caplog.records]
    return [int(line.split(" of ")[0]) for line in lines if re.search(r"of the follower's response, residual", line)]


def test_a_response_that_takes_long_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    game = corridor()
    policy = sg.TabularPolicy(game)
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 600.0)
    with caplog.at_level(logging.INFO, "stackelberg_games"):
        before = sg.exact.best_response(game, policy, 0.01).values
        assert percents(caplog) == []  # nothing is said of what does not take so long
        monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)
        monkeypatch.setattr(progress, "EVERY_SECONDS", 0.0)
        after = sg.exact.best_response(game, policy, 0.01).values
    found = percents(caplog)
    assert len(found) >= 3
    assert 0 <= found[0] < found[-1] <= 100
    np.testing.assert_array_equal(before, after)


def test_no_bar_is_drawn_inside_of_another(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)
    with progress.progress_of("matches", 2, True) as outer, progress.patiently("of the inner one") as inner:
        outer(1, "")
        inner(50, "")
    assert "inner one" not in capsys.readouterr().err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress.patiently("of the inner one") as inner:
        inner(50, "half")
    assert "of the inner one, half" in capsys.readouterr().err


@pytest.mark.parametrize(("residuals", "told"), [([1.0, 1e-2, 1e-4], [50]), ([1.0, 2.0, 0.02], [50]), ([0.0], [])])
def test_the_way_of_a_residual_is_told_in_logarithms(residuals: list[float], told: list[int]) -> None:
    heard: list[int] = []
    way = Way(lambda done, note: heard.append(done))
    for residual in residuals:
        way.tell(residual, 1e-4 if residuals[1:2] != [2.0] else 2e-4)
    assert heard == told
