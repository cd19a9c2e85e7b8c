"""Pictures of configured games: what the leader sets and what the follower then does.

Run with ``python docs/figures/configured.py``; it needs the optima that ``benchmarks/optima.py`` stores.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from style import FAINT, FOLLOWER, IMAGES, INK, LEADER, figure, save

import stackelberg_games as sg
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.floors.game import FloorGame
from stackelberg_games.floors.picture import TARGET, draw_floor

ROWS = json.loads((Path(__file__).parent.parent / "data" / "optima.json").read_text())["rows"]
ZONE_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def best(name: str, settings: dict[str, Any], temperature: float) -> tuple[Any, torch.Tensor, float]:
    """A game, its best known configuration and the leader's value there."""
    rows = [row for row in ROWS if (row["game"], row["settings"], row["temperature"]) == (name, settings, temperature)]
    return sg.make(name, **settings), torch.tensor(rows[0]["configuration"], dtype=torch.float64), rows[0]["value"]


def floor(axes: Any, game: FloorGame, configuration: torch.Tensor | None, temperature: float, title: str) -> None:
    """One panel, without a legend of its own."""
    axes.set_axis_off()
    shown = game.picture(configuration, game.occupancy(configuration, temperature))
    draw_floor(axes, game.plan, shown, explained=False)
    axes.set_title(title, fontsize=11, color=INK, loc="left")


def explain(axes: Any, lines: tuple[tuple[str, str], ...]) -> None:
    """What the colours mean, on axes of their own."""
    axes.set_axis_off()
    for number, (color, words) in enumerate(lines):
        axes.text(
            0.02,
            1 - (number + 0.5) / len(lines),
            words,
            color=color,
            fontsize=11,
            va="center",
            transform=axes.transAxes,
        )


def worth(game: Any, configuration: torch.Tensor, temperature: float) -> float:
    """The leader's exact value under a configuration."""
    return float(
        sg.exact.leader_objective(game, Configuration(configuration, states=game.states), temperature).detach()
    )


def four_rooms() -> None:
    """The standard start and the best known penalties, one goal and two."""
    made = Figure(figsize=(6.4, 7.6), dpi=150, layout="constrained")
    panels = made.subplot_mosaic("AB;CD;EE", height_ratios=(1, 1, 0.24))
    temperature = 0.003
    for before, after, settings, words in (("A", "B", {}, "one goal"), ("C", "D", {"goals": 2}, "two goals")):
        game, configuration, value = best("four_rooms-v0", settings, temperature)
        start = game.commitment(0, 0.0).configuration().detach()
        worth_it = worth(game, start, temperature)
        floor(panels[before], game, start, temperature, f"{words}, even spread: {worth_it:.3f}")
        floor(panels[after], game, configuration, temperature, f"{words}, best known: {value:.3f}")
    legend = (
        (LEADER, "shade: penalties, relative to the largest of the plan"),
        (FOLLOWER, f"discs: where a follower at temperature {temperature:g} spends its time"),
        (TARGET, "frame: the target, where the leader is paid"),
    )
    explain(panels["E"], legend)
    save(made, "four_rooms")


def warehouse() -> None:
    """The free floor, and the best known charges and barriers."""
    made = Figure(figsize=(6.4, 5.2), dpi=150, layout="constrained")
    panels = made.subplot_mosaic("AB;CD")
    temperature = 0.01
    free = sg.make("warehouse-v0")
    assert isinstance(free, FloorGame)
    none = torch.zeros(free.size, dtype=torch.float64)
    floor(panels["A"], free, None, temperature, f"nothing set: {worth(free, none, temperature):.3f}")
    for name, lever, words in (("B", "costs", "charges"), ("C", "one_way", "barriers")):
        game, configuration, value = best("warehouse-v0", {"lever": lever}, temperature)
        floor(panels[name], game, configuration, temperature, f"best known {words}: {value:.3f}")
    legend = (
        (LEADER, "shade: charges, relative to the largest"),
        (LEADER, "bars: steps that are hindered"),
        (FOLLOWER, f"discs: where a robot at\ntemperature {temperature:g} spends its time"),
        (TARGET, "frame: where the leader\nis paid (D) or pays (C)"),
    )
    explain(panels["D"], legend)
    save(made, "warehouse")


def thermal_control() -> None:
    """Temperatures of the zones over an episode, under the standard and the best known configuration."""
    game, configuration, value = best("thermal_control-v0", {}, 0.1)
    middle = torch.full((8,), 0.5, dtype=torch.float64)
    made, panels = figure(6.4, 5.6, nrows=2, sharex=True, sharey=True)
    standard = float(sg.exact.leader_objective(game, Configuration(middle), 0.1).detach())
    shown = ((middle, f"all eight numbers at 0.5: {standard:.1f}"), (configuration, f"best known: {value:.1f}"))
    for axes, (numbers, title) in zip(panels, shown, strict=True):
        follower = sg.make_follower("maxent_lqr", temperature=0.1)
        follower.begin(game)
        commitment = Configuration(numbers)
        answer = follower.respond(game, commitment)
        batch = sg.rollout(game, commitment, answer.policy, episodes=1, seed=4)
        axes.axhline(0.0, color=FAINT, linewidth=0.8)
        for zone in range(4):
            axes.plot(np.arange(41), batch.states[0, :41, zone], color=ZONE_COLORS[zone], label=f"zone {zone + 1}")
        axes.set_title(title, fontsize=11, loc="left")
        axes.set_ylabel("deviation", fontsize=11)
    panels[0].legend(frameon=False, ncols=2, fontsize=11)
    panels[1].set_xlabel("stage", fontsize=11)
    save(made, "thermal_control")


def main() -> None:
    """Draw all of them, or those that are named."""
    IMAGES.mkdir(exist_ok=True)
    chosen = sys.argv[1:] or ["four_rooms", "warehouse", "thermal_control"]
    for draw in (four_rooms, warehouse, thermal_control):
        if draw.__name__ in chosen:
            draw()


if __name__ == "__main__":
    main()
