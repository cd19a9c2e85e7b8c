"""Judges of every kind, what goes wrong with them, and labels that are never lost."""

from __future__ import annotations

import io
import json
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.adapters.payments import payments_of
from stackelberg_games.errors import CheckpointError, InvalidArgumentError, JudgeError
from stackelberg_games.learning.asked_judges import Called, Person, Process
from stackelberg_games.learning.interview import LABELS, Interview, _line
from stackelberg_games.learning.judges import BradleyTerry, judge_of
from stackelberg_games.rules.commitment import flatten
from stackelberg_games.rules.comparisons import Judge


def game(judge: Any) -> sg.Game:
    return sg.make("preference_grid-v0", judge=judge)


def played(judge: Any, **settings: Any) -> sg.Run:
    settings = {"iterations": 3, "episodes": 8, "evaluate_every": 0, "progress": False, **settings}
    return sg.train(game(judge), "drlhf", "soft_value_iteration", **settings)


def program(tmp_path: Path, body: str) -> list[str]:
    """A judge that runs ``body`` for every pair; n counts them."""
    path = tmp_path / "judge.py"
    head = "import json, sys, time, os\nfor n, line in enumerate(sys.stdin):\n    pair = json.loads(line)\n"
    path.write_text(head + textwrap.indent(textwrap.dedent(body), "    "))
    return [sys.executable, str(path)]


ANSWER = "print(json.dumps({'preference': float(max(pair['first']['states']) > 12)}), flush=True)"


def test_answers_have_the_chances_of_their_rule() -> None:
    gaps, draws = np.array([-400.0, -1.0, 0.0, 1.0, 400.0]), np.random.default_rng(0).random((20_000, 5))
    for judge in (BradleyTerry(), BradleyTerry(2.0, 0.2), judge_of("indifferent")):
        chances = judge.chance(gaps)
        assert chances is not None
        answers = np.array([list(judge.compare(None, None, gaps, row)) for row in draws])  # type: ignore[arg-type]
        error = np.sqrt(chances * (1 - chances) / len(draws))
        assert (np.abs(answers.mean(axis=0) - chances) < 4 * error + 1e-12).all()
        np.testing.assert_allclose(chances + chances[::-1], 1.0, rtol=1e-12)
    assert BradleyTerry(2.0, 0.2).chance(gaps)[3] == pytest.approx(0.2 + 0.6 / (1 + np.exp(-2.0)))


def test_a_function_judges_states_and_actions_and_sees_no_reward() -> None:
    seen: list[dict[str, Any]] = []

    def longest(first: dict[str, Any], second: dict[str, Any]) -> float:
        seen.append(first)
        return float(first["states"].max() >= second["states"].max())

    run = played(longest)
    assert run.history[-1]["labels"] == len(seen) == 12
    assert {*seen[0]} == {"states", "actions"}
    assert seen[0]["states"].shape == (7,)
    assert seen[0]["actions"].shape == (6,)
    assert "longest" in repr(judge_of(longest))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda first, second: 2, "answered 2 about pair 0"),
        (lambda first, second: -0.1, "answered -0.1"),
        (lambda first, second: True, "answered True"),
        (lambda first, second: None, "did not answer"),
        (lambda first, second: float("nan"), "answered nan"),
        (lambda first, second: 1 / 0, "raised ZeroDivisionError"),
    ],
)
def test_an_answer_that_is_no_preference_is_named(answer: Any, words: str) -> None:
    with pytest.raises(JudgeError, match=words):
        played(answer)


def test_a_person_types_answers_until_leaving(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("1\n2\nboth\n=\n1\n"))
    with pytest.raises(JudgeError, match="has left"):
        played("person", iterations=2)
    shown = capsys.readouterr().out
    assert shown.count("the better one") == 6
    assert "12 -" in shown
    monkeypatch.setattr(sys, "stdin", io.StringIO("2\n" * 4))
    assert played(Person(lambda segment: "look"), iterations=1).history[-1]["labels"] == 4
    assert capsys.readouterr().out.count("1: look") == 4


def test_a_program_judges(tmp_path: Path) -> None:
    run = played({"kind": "process", "command": program(tmp_path, ANSWER)})
    again = played(lambda first, second: float(first["states"].max() > 12))
    assert run.history[-1]["labels"] == 12
    assert [row["leader/loss"] for row in run.history] == [row["leader/loss"] for row in again.history]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("if n == 5: sys.exit(3)\n" + ANSWER, "judge process ended with exit status 3"),
        ("if n == 5: time.sleep(60)\n" + ANSWER, "judge process did not answer within"),
        ("print('first' if n == 5 else json.dumps({'preference': 1}), flush=True)", "answered b'first"),
        ("print(json.dumps({'preference': 7 if n == 5 else 1}), flush=True)", "answered 7 about pair 5"),
        ("print(json.dumps({'preference': 'first'}), flush=True)", 'expected {"preference"'),
        ("print(json.dumps({'preference': True}), flush=True)", 'expected {"preference"'),
        ("print(json.dumps({'preference': 1}) + '\\n' + json.dumps({'preference': 1}), flush=True)", "unasked"),
    ],
)
def test_a_program_that_misbehaves_is_named(tmp_path: Path, body: str, words: str) -> None:
    start = time.monotonic()
    with pytest.raises(JudgeError, match=words):
        played(Process(program(tmp_path, body), timeout=2.0))
    assert time.monotonic() - start < 50  # the program sleeps for longer


def test_programs_that_cannot_be_asked_are_refused() -> None:
    with pytest.raises(JudgeError, match="cannot start the judge process"):
        played(Process(["/nowhere/judge"]))
    wrong: list[dict[str, Any]] = [{"command": []}, {"command": "judge"}, {"command": ["judge"], "timeout": 0.0}]
    for chosen in wrong:
        with pytest.raises(InvalidArgumentError):
            judge_of({"kind": "process", **chosen})
    with pytest.raises(InvalidArgumentError):
        Called("first")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"kind": ["a"]}, {"kind": 3}, {}, {"kind": "person", "name": "Ann"}, 5])
def test_what_is_no_judge_is_refused_by_name(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^judge="):
        judge_of(wrong)
    if wrong != 5:
        with pytest.raises(InvalidArgumentError, match=r"^payments="):
            payments_of(wrong)


@pytest.mark.parametrize("wrong", [5, "states"])
def test_what_shows_nothing_to_a_person_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="expected a function of a segment"):
        judge_of({"kind": "person", "show": wrong})


class Costly(Judge):
    """Counts what it is asked, and may give up after some answers."""

    def __init__(self, patience: float = np.inf) -> None:
        self.patience, self.asked = patience, 0

    def __repr__(self) -> str:
        return "Costly()"

    def compare(self, first: Any, second: Any, difference: Any, draws: Any) -> Iterator[float]:
        for gap, draw in zip(difference, draws, strict=True):
            if self.asked >= self.patience:
                raise JudgeError("enough")
            self.asked += 1
            yield float(draw < 1 / (1 + np.exp(-gap)))


@pytest.mark.parametrize("patience", [1, 5, 9, 11])
def test_a_label_that_was_given_is_never_asked_for_again(tmp_path: Path, patience: int) -> None:
    whole, first, second = Costly(), Costly(patience), Costly()
    expected = played(whole)
    settings: dict[str, Any] = {"directory": tmp_path / "run", "checkpoint_every": 1}
    with pytest.raises(JudgeError, match="enough"):
        played(first, **settings)
    assert len((tmp_path / "run" / LABELS).read_text().splitlines()) == patience
    run = played(second, **settings)
    assert second.asked == 12 - patience
    assert run.history[-1]["labels"] == 12
    assert run.history == expected.history
    assert torch.equal(flatten(run.commitment), flatten(expected.commitment))


def test_labels_outlive_a_run_without_a_checkpoint_and_half_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(JudgeError):
        played(Costly(9), directory=folder, checkpoint_every=50)  # before the first one
    path = folder / LABELS
    path.write_text(path.read_text() + '{"pair": 9, "segm')
    again = Costly()
    played(again, directory=folder)
    assert again.asked == 3
    assert [json.loads(line)["pair"] for line in path.read_text().splitlines()] == list(range(12))


def test_labels_of_other_pairs_and_altered_ones_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(JudgeError):
        played(Costly(5), directory=folder)
    path = folder / LABELS
    lines = path.read_text().splitlines()
    for line, words in (
        (_line(0, "0" * 16, 1.0).strip(), "another pair of segments"),
        (
            json.dumps({**json.loads(lines[0]), "label": 1 - json.loads(lines[0])["label"]}),
            "not the one that was given",
        ),
        ("\xff", "cannot read"),
        (json.dumps({**json.loads(lines[0]), "label": 2.0}), "is no label"),
        ("[]", "is no label"),
        ("{", "labels.jsonl"),
    ):
        path.write_text("\n".join([line, *lines[1:]]) + "\n", encoding="latin-1")
        with pytest.raises(CheckpointError, match=words):
            played(Costly(), directory=folder)


def test_a_full_disk_is_said_and_the_labels_before_it_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, stored = tmp_path / "run", Interview._store

    def fills(interview: Interview, number: int, fingerprint: str, label: float) -> None:
        if number == 5:
            assert interview._file is not None
            interview._file.close()
            interview._file = Path("/dev/full").open("a")  # noqa: SIM115
        stored(interview, number, fingerprint, label)

    monkeypatch.setattr(Interview, "_store", fills)
    with pytest.raises(CheckpointError, match="cannot store label 5: No space left on device"):
        played(Costly(), directory=folder)
    monkeypatch.undo()
    again = Costly()
    played(again, directory=folder)
    assert again.asked == 12 - 5


def test_a_restored_run_asks_nobody_to_see_what_its_state_looks_like(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    played(Costly(), directory=folder, iterations=2)
    judge = Costly()
    run = played(judge, directory=folder, iterations=3)
    assert judge.asked == 4
    assert run.history[-1]["labels"] == 12
