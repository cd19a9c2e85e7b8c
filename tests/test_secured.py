"""What a follower can secure, and plans of both players: settled, or an error."""

from __future__ import annotations

import pytest

from stackelberg_games.envs import repeated_pd_v0
from stackelberg_games.errors import SolverError
from stackelberg_games.exact import secured


def test_play_that_does_not_settle_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = secured.Endless.of(repeated_pd_v0.game())
    assert endless is not None
    monkeypatch.setattr(secured, "ROUNDS", 1)
    with pytest.raises(SolverError, match="did not settle in 1 rounds"):
        secured.roof_of_play(endless)
