"""Playing what a store lacks, and reading what it holds: what tournaments and sweeps have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stackelberg_games import checks, files
from stackelberg_games.errors import StoreError
from stackelberg_games.tournaments.match import Match, Outcome
from stackelberg_games.tournaments.runner import play_and_keep
from stackelberg_games.tournaments.store import Store


def play_matches(
    matches: Sequence[Match],
    plan: Mapping[str, Any],
    store: str | Path | None,
    *,
    retry: bool = True,
    replay_damaged: bool = False,
    **how: Any,
) -> dict[str, Outcome]:
    """Outcomes of matches by key; those that a store lacks are played and kept as soon as they are finished.

    Args:
        matches: all of them; of two with the same key one is played.
        plan: kept as the store's latest one.
        store: a folder; None to keep nothing.
        retry: whether matches that failed in an earlier run are played again.
        replay_damaged: see ``Store``.
        how: ``what`` and ``progress`` of ``play_and_keep``, and how ``play_all`` plays.

    Raises:
        StoreError: the folder cannot be written to and lacks matches, or another run is writing to it.
    """
    single = {match.key: match for match in matches}
    options = {"progress": None, **how, "total": len(single)}
    if store is None:
        outcomes: dict[str, Outcome] = {}
        play_and_keep(list(single.values()), outcomes.update, **options)
        return outcomes
    if files.is_read_only(checks.path("store", store)):
        return _read(single, store)
    with Store(store, write=True, replay_damaged=replay_damaged) as kept:
        kept.add_plan(plan)
        known = {key for key, status in kept.statuses().items() if not (retry and status == "failed")}
        missing = [match for match in single.values() if match.key not in known]
        play_and_keep(missing, kept.put_all, begin=kept.begin, alone=kept.interrupted, **options)
        return kept.outcomes(single)


def _read(matches: Mapping[str, Match], store: str | Path) -> dict[str, Outcome]:
    """Outcomes in a folder that nobody may write to, which must be complete."""
    with Store(store) as kept:
        outcomes = kept.outcomes(matches)
    missing = len(matches) - len(outcomes)
    if missing:
        raise StoreError(f"{store} cannot be written to; {missing} of {len(matches)} matches are not played yet")
    return outcomes
