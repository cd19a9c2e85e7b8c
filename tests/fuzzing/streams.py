"""What a black box answers: lines that are nearly those of a player."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

import stackelberg_games as sg
from tests.fuzzing.target import POSITIONS, Case, Target

ANSWERS = (
    *(
        '{"action": true}',
        '{"action": false}',
        '{"action": "0"}',
        '{"action": null}',
        '{"action": [0]}',
        '{"action": 0.0}',
    ),
    *(
        '{"action": -1}',
        '{"action": 99}',
        '{"action": 1e400}',
        '{"action": NaN}',
        '{"action": {}}',
        '{"reply": 0}',
        "0",
        "[]",
    ),
    *(
        "",
        " ",
        "null",
        "{",
        '{"action": 0}{"action": 0}',
        '{"action": 1, "action": 0}',
        '{"action": ' + "9" * 5000 + "}",
    ),
    *(
        "[" * 5000,
        '{"a":' * 3000,
        '{"action": "\\ud800"}',
        '{"action": 0, "extra": "' + "x" * 70000 + '"}',
        "hello",
        '{"action": 1}',
    ),
)
PLAYER = (
    sys.executable,
    *("-I", "-S", "-c"),
    """
import sys
answers = open(sys.argv[1], "rb")
for _ in sys.stdin.buffer:
    line = answers.readline()
    sys.stdout.buffer.write(line)
    sys.stdout.flush()
    if not line.endswith(b"\\n"):
        break
""",
)
"""Answers each question with the next line of a file; ends with it."""
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("answer"), POSITIONS, st.sampled_from(range(len(ANSWERS)))),
        st.tuples(st.sampled_from(["drop", "double", "cut", "flip"]), POSITIONS, st.integers(1, 255)),
    ),
    min_size=1,
    max_size=3,
)


def stream(episodes: int) -> list[bytes]:
    """The answers of a sound player in episodes of one stage."""
    return [b'{"action": 0}\n', b'{"action": null}\n'] * episodes


def run_stream(case: Case) -> None:
    """Play against a process that writes a damaged stream; what is accepted is what was written."""
    lines = stream(4)
    for what, position, value in case:
        here = position % max(len(lines), 1)
        if what == "answer":
            lines[here : here + 1] = [ANSWERS[value].encode() + b"\n"]
        elif what == "drop":
            del lines[here]
        elif what == "double":
            lines.insert(here, lines[here] if lines else b"\n")
        elif what == "cut" and lines:
            lines[here] = lines[here][: value % max(len(lines[here]), 1)]
        elif what == "flip" and lines and lines[here]:
            line = bytearray(lines[here])
            line[value % len(line)] ^= value
            lines[here] = bytes(line)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "answers"
        file.write_bytes(b"".join(lines))
        follower = sg.make_follower("black_box", command=[*PLAYER, str(file)], timeout=10.0)
        try:
            game = sg.make("matrix-v0")
            run = sg.train(game, "random_search", follower, iterations=2, episodes=2, evaluate_every=0, progress=False)
        finally:
            follower.close()
    assert all(np.isfinite(value) for record in run.history for value in record.values())


TARGETS = [Target("stream of a black box", EDITS, run_stream, [], 0.01)]
