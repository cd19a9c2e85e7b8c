"""Text files: tournaments, experiments and floor plans, edited line by line and sign by sign."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import strategies as st

import stackelberg_games as sg
from stackelberg_games.learning.experiment import Experiment
from stackelberg_games.tournaments import tournament_file
from stackelberg_games.tournaments.sweep_file import load_sweep
from stackelberg_games.tournaments.tournament import Tournament
from tests.fuzzing.target import POSITIONS, Case, Target

TOURNAMENT = """
[tournament]
seeds = 2
budget = 80
episodes = 2
references = false
stages = 1
points = 3
evaluation_episodes = 20
bounds = { mixed = [0.0, 4.0] }

[[game]]
id = "matrix-v0"
label = "mixed"
preset = "conitzer_sandholm"

[[leader]]
id = "random_search"
scale = 0.5
[[leader]]
id = "bchg"
label = "bchg, fast"
learning_rate = 0.05
start = { hidden = [4] }
[[leader]]
id = "evolution_strategies"
pairs = 2

[[follower]]
id = "soft_value_iteration"
temperature = 0.1
sweeps = 3
start = "carry"
[[follower]]
id = "soft_q_learning"
transitions = 50
first_transitions = 50

[[held_out]]
id = "best_response"
ties = "against"
"""
EXPERIMENT = """
[game]
id = "discrete_toy-v0"
R = 2.0
horizon = 5
follower_sees_action = true

[leader]
id = "bchg"
learning_rate = 0.02
actor_steps = 1
representation = { memory = 0.9 }
follower_rewards = "observed"

[follower]
id = "soft_value_iteration"
temperature = 0.05

[training]
iterations = 2
episodes = 2
stages = 4
seed = 3
temperature = 0.05
evaluate_every = 1
checkpoint_every = 1
"""
SWEEP = """
[sweep]
seeds = 2
report_seeds = 3
samples = 4
search_seed = 1
budget = 200
episodes = 2
points = 0

[game]
id = "matrix-v0"
preset = "conitzer_sandholm"

[leader]
id = "bchg"

[follower]
id = "soft_value_iteration"
temperature = 0.1

[search]
leader.learning_rate = { low = 0.001, high = 1.0, log = true }
follower.temperature = [0.05, 0.1]
leader.actor_steps = [1, 2]
"""
LITERALS = (
    *("nan", "inf", "-inf", "true", "false", "0", "1", "2", "-3", "1.5", "0.0", "-0.0", "1e11", "1e400", "1e-320"),
    *(
        "99999999999999999999999999",
        "10_000_000_000",
        "0x10",
        "''",
        '":"',
        '"x"',
        '"2"',
        '"a:b:c"',
        '"no-v0"',
        '"é\\u0000"',
    ),
    *(
        '"subprocess:check_output"',
        '"os:getcwd"',
        '"json:JSONDecoder"',
        '"."',
        '"../x"',
        '"\\uD800"',
        '"\\n=1"',
        '"none"',
    ),
    *(
        "[]",
        "[[]]",
        "{}",
        "[1]",
        "[1, 1]",
        "[0.5, nan]",
        '["a"]',
        "[true]",
        "{ a = 1 }",
        "{ mixed = 1 }",
        "{ mixed = [1, 0] }",
    ),
    *("1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "[" * 400 + "]" * 400, "[" * 5 + "]" * 5, "", "=", '"unclosed'),
    *(
        "'leader'",
        "'first'",
        "'reset'",
        "'unobserved'",
        "'own'",
        '"' + "x" * 300 + '"',
        "3 # a comment",
        '"""many\nlines"""',
    ),
)
LINES = (
    *(
        "[tournament]",
        "[[game]]",
        "[[leader]]",
        "[[follower]]",
        "[[held_out]]",
        "[game]",
        "[leader]",
        "[training]",
        "[x]",
    ),
    *(
        "[[tournament]]",
        "[tournament.x]",
        "[[leader.x]]",
        "id = 1",
        'id = "fixed"',
        'id = "random"',
        'label = "mixed"',
        "label = [1]",
    ),
    *(
        "seeds = true",
        "budget = { mixed = 80 }",
        "game_id = 1",
        "leader_id = 1",
        "self = 1",
        "kind = 1",
        "command = ['x']",
        "\ufeff",
    ),
    *(
        "stages = 1.5",
        "points = 'a'",
        "references = 'x'",
        "horizon = 0",
        "R = '2'",
        "temperature = 'x'",
        "x",
        "= 1",
        "id = 'black_box'",
    ),
)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("value"), POSITIONS, st.sampled_from(LITERALS)),
        st.tuples(st.just("line"), POSITIONS, st.sampled_from(LINES)),
        st.tuples(st.sampled_from(["delete", "double", "swap", "cut"]), POSITIONS, st.just("")),
        st.tuples(st.just("sign"), POSITIONS, st.text(max_size=3)),
    ),
    min_size=1,
    max_size=4,
)


def edited(text: str, edits: Case) -> str:
    """A text after edits of its lines and signs."""
    for what, position, new in edits:
        lines = text.split("\n")
        here = position % len(lines)
        if what == "value":
            valued = [number for number, line in enumerate(lines) if " = " in line] or [here]
            here = valued[position % len(valued)]
            lines[here] = f"{lines[here].split(' = ')[0]} = {new}"
        elif what == "line":
            lines.insert(here, new)
        elif what == "delete":
            del lines[here]
        elif what == "double":
            lines.insert(here, lines[here])
        elif what == "swap":
            other = (position // len(lines)) % len(lines)
            lines[here], lines[other] = lines[other], lines[here]
        if what in ("cut", "sign"):
            at = position % (len(text) + 1)
            text = text[:at] if what == "cut" else text[:at] + new + text[at + (position // 7) % 3 :]
        else:
            text = "\n".join(lines)
    return text


def run_tournament(case: Case) -> None:
    """Read the file twice; both readings are the same tournament, and an honest one."""
    text = edited(TOURNAMENT, case)
    cups = [tournament_file.parse(text) for _ in range(2)]
    assert [match.key for match in cups[0].matches] == [match.key for match in cups[1].matches]
    _check_tournament(cups[0])


def _check_tournament(cup: Tournament) -> None:
    keys = [match.key for match in cup.matches]
    assert len({*keys}) == len(keys)
    assert all(isinstance(rules.budget, int) and rules.budget >= 1 for rules in cup.rules.values())
    assert all(type(seed) is int for seed in cup.seeds)
    assert all(isinstance(member.label, str) for member in (*cup.games, *cup.leaders, *cup.followers, *cup.held_out))


def run_experiment(case: Case) -> None:
    """Read the file from disk, as bytes that may be no text, build it and train for what it says, if that is short."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "experiment.toml"
        file.write_bytes(edited(EXPERIMENT, case).encode("utf-8", "surrogatepass"))
        experiment = Experiment.load(file)
    experiment.build()
    loop = experiment.sections["training"]
    long = [name for name in ("iterations", "episodes", "stages") if isinstance(loop.get(name), int) and loop[name] > 9]
    steps = experiment.sections["leader"].get("actor_steps", 1)
    if not long and steps <= 9 and "iterations" in loop and experiment.sections["follower"]["id"] != "sb3":
        run = experiment.run(progress=False)
        assert len(run.history) == loop["iterations"]


def run_sweep(case: Case) -> None:
    """Read the file twice; both readings are the same sweep."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sweep.toml"
        file.write_bytes(edited(SWEEP, case).encode("utf-8", "surrogatepass"))
        one, other = (load_sweep(file) for _ in range(2))
    assert one.plan() == other.plan()


FLOORS = {
    "four_rooms-v0": "xxxxxxx\nxS x Gx\nx     x\nx T x x\nxxxxxxx\n",
    "warehouse-v0": "xxxxxxx\nxS H Px\nx H   x\nxD C  x\nxxxxxxx\n",
}
SIGNS = st.one_of(st.sampled_from("xXSGTHPDC .#\n\r\t\0é"), st.characters())
PLANS = st.tuples(
    st.sampled_from(sorted(FLOORS)),
    st.lists(
        st.one_of(
            st.tuples(st.just("sign"), POSITIONS, SIGNS),
            st.tuples(st.sampled_from(["delete", "double", "swap", "cut"]), POSITIONS, st.just("")),
        ),
        min_size=1,
        max_size=5,
    ),
)


def run_plan(case: Case) -> None:
    """A floor that is accepted can be played."""
    name, edits = case
    game = sg.make(name, plan=edited(FLOORS[name], edits), horizon=6)
    env = game.env()
    env.reset(seed=0)
    env.step(game.configuration_space.sample())  # type: ignore[union-attr]
    env.step(0)


TARGETS = [
    Target("tournament file", EDITS, run_tournament, [], 0.12),
    Target("experiment file", EDITS, run_experiment, [], 0.12),
    Target("sweep file", EDITS, run_sweep, [], 0.05),
    Target("floor plan", PLANS, run_plan, ["warehouse-v0", []], 0.08),
]
