"""Four Rooms in the published settings: the picture and the tables of the page on configurable MDPs.

Run with ``python docs/figures/four_rooms.py`` after ``benchmarks/four_rooms.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from style import FAINT, FOLLOWER, INK, LEADER, TOTAL, figure, save

from stackelberg_games.reproductions import load

DATA = Path(__file__).parent.parent / "data"
ROWS = [json.loads(line) for line in (DATA / "four_rooms.jsonl").read_text().splitlines()]
OPTIMA = json.loads((DATA / "optima.json").read_text())["rows"]
STUDY = load("four_rooms")
TEMPERATURES = (0.001, 0.003, 0.005)
SIZES = (100, 200, 400, 1000)
TRAJECTORY = ("BC-HG", "HPGD, Monte-Carlo", "HPGD, SARSA")
GAMES = ((False, "consistent", LEADER), (True, "published mismatch", FOLLOWER))
LEFT_OUT = {
    "model_based": "nothing",
    "model_based, gradient only": "plans: climbs with every update from the standard start",
    "model_based, no exploration": "exploration before the first plan",
    "model_based, one start a plan": "starts: one a plan instead of six",
    "model_based, no annealing": "annealing of its own cost and of the temperature",
    "model_based, one plan": "all plans but the first, whose best end is played",
    "model_based, belief as played": "estimate of what the follower believes",
    "bchg": "`bchg` instead",
    "bchg, ramp and spread": "`bchg` instead, cost phased in over 700 updates, first spread 3",
}


def values(leader: str, temperature: float, mismatch: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Final values over seeds."""
    wanted = (leader, temperature, mismatch, 400)
    return np.array(
        [row["value"] for row in ROWS if (row["leader"], row["temperature"], row["mismatch"], row["size"]) == wanted]
    )


def spread(found: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """Mean and standard error."""
    return float(found.mean()), float(found.std(ddof=1) / len(found) ** 0.5) if len(found) > 1 else float("nan")


def published(leader: str, temperature: float, size: int) -> tuple[float, float]:
    """Last published value and its standard error."""
    entry = STUDY.published[(f"temperature {temperature:g}, {size:,} transitions", leader)]
    return entry.values[-1], entry.errors[-1]


def best_published(temperature: float, size: int) -> float:
    """The best of the published methods that see trajectories alone."""
    return max(published(leader, temperature, size)[0] for leader in TRAJECTORY)


def optimum(temperature: float) -> float:
    """The best known value: of the stored ascents, of the listed ones, or of any run, as all are exact."""
    stored = [
        row["value"]
        for row in OPTIMA
        if (row["game"], row["settings"], row["temperature"]) == ("four_rooms-v0", {}, temperature)
    ]
    listed = STUDY.settings[f"temperature {temperature:g}, 100 transitions"].optimum
    reached = [row["value"] for row in ROWS if row["temperature"] == temperature]
    return max(stored[0], listed or -np.inf, *reached)


def panel(axes: Any, temperature: float) -> None:
    """Published points by amount of data; ours as bands, and their seeds at the right."""
    places = np.arange(len(SIZES))
    axes.axhline(optimum(temperature), color=INK, linewidth=1, linestyle="--", label="best known, exact")
    for number, (mismatch, label, color) in enumerate(GAMES):
        found = values("model_based", temperature, mismatch)
        mean, error = spread(found)
        axes.plot([-0.3, 3.3], [mean, mean], color=color, linewidth=1.8, label=f"model_based, {label}")
        axes.fill_between([-0.3, 3.3], mean - error, mean + error, color=color, alpha=0.25, linewidth=0)
        axes.plot(np.full(len(found), 3.75 + 0.3 * number), found, ".", color=color, markersize=5, alpha=0.6)
    styles = {
        "BC-HG": ("o", TOTAL, TOTAL, -0.12),
        "HPGD, Monte-Carlo": ("s", TOTAL, "white", 0.0),
        "HPGD, SARSA": ("^", TOTAL, "white", 0.12),
        "HPGD, oracle": ("D", FAINT, FAINT, 0.24),
    }
    for leader, (marker, color, face, shift) in styles.items():
        points = np.array([published(leader, temperature, size) for size in SIZES])
        form = {"fmt": marker, "color": color, "markerfacecolor": face, "markersize": 5, "linewidth": 1}
        axes.errorbar(places + shift, points[:, 0], points[:, 1], label=f"{leader} (published)", **form)
    axes.set_xticks([*places, 3.9], [*(f"{size:,}" for size in SIZES), "seeds"])
    axes.set_title(f"temperature {temperature:g}", fontsize=10, color=INK, loc="left")
    axes.set_xlabel("transitions an update may see")


def picture() -> None:
    """One panel a temperature."""
    made, axes = figure(10.5, 4.2, ncols=3)
    for axis, temperature in zip(axes, TEMPERATURES, strict=True):
        panel(axis, temperature)
    axes[0].set_ylabel("leader's exact value")
    handles, labels = axes[0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    save(made, "four_rooms_values")


def table() -> None:
    """The 12 settings in both games beside what was published."""
    print("| temperature | transitions | consistent | published mismatch | best published | oracle HPGD | best known |")
    print("|---|---|---|---|---|---|---|")
    for temperature in TEMPERATURES:
        ours = ["{:.3f} +- {:.3f}".format(*spread(values("model_based", temperature, game[0]))) for game in GAMES]
        for size in SIZES:
            others = best_published(temperature, size), published("HPGD, oracle", temperature, size)[0]
            numbers = " | ".join(f"{number:.3f}" for number in (*others, optimum(temperature)))
            print(f"| {temperature:g} | {size:,} | {' | '.join(ours)} | {numbers} |")


def ablation() -> None:
    """What is left when one part is taken away: mean and smallest value."""
    print("\n| left out | game | temperature 0.001 | 0.003 | 0.005 | seeds |\n|---|---|---|---|---|---|")
    for leader, words in LEFT_OUT.items():
        for mismatch, label, _ in GAMES:
            found = [values(leader, temperature, mismatch) for temperature in TEMPERATURES]
            if min(map(len, found)) > 0:
                cells = " | ".join(f"{one.mean():.3f} (least {one.min():.3f})" for one in found)
                print(f"| {words} | {label} | {cells} | {min(map(len, found))} |")


def ascents() -> None:
    """Where ascents on the exact game end, by how they begin."""
    print("\n| start | temperature 0.001 | 0.003 | 0.005 |\n|---|---|---|---|")
    rows = json.loads((DATA / "four_rooms_ascents.json").read_text())["rows"]
    for form in dict.fromkeys(row["form"] for row in rows):
        ends = [np.array(row["ends"]) for row in rows if row["form"] == form]
        print(
            f"| {form} | " + " | ".join(f"{max(e.max(), 0.0):.3f}, {(e > 0.05).sum()} of {len(e)}" for e in ends) + " |"
        )


def effort() -> None:
    """What a run took."""
    ours = [row for row in ROWS if row["leader"] == "model_based"]
    for name in ("transitions", "seconds", "updates"):
        found = np.array([row[name] for row in ours])
        print(f"{name}: {found.min()} to {found.max()}, median {np.median(found)}")
    cuts: dict[Any, dict[int, float]] = {}
    for row in ours:
        cuts.setdefault((row["temperature"], row["mismatch"], row["seed"]), {})[row["size"]] = row["value"]
    print("cut in several ways:", [sorted(set(cut.values())) for cut in cuts.values() if len(cut) > 1])


if __name__ == "__main__":
    picture()
    table()
    ablation()
    ascents()
    effort()
