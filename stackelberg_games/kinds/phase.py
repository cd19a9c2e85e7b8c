"""The phase portrait of a linear-quadratic game in the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackelberg_games.arrays import FloatArray

if TYPE_CHECKING:
    from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
    from stackelberg_games.rules.scene import Scene

_LEAST_REACH = 1.3


def draw_phase(game: LinearGaussianGame, axes: Any, scene: Scene) -> None:
    """Draw the leader's reward, the last stage's drift and pushes, and the state.

    Args:
        game: with two state coordinates.
        axes: Matplotlib axes.
        scene: what to show.
    """
    state = np.asarray(scene.state, dtype=np.float64)
    known = [state, game.start] if scene.played is None else [state, np.asarray(scene.played.state)]
    reach = max(_LEAST_REACH, 1.15 * max(float(np.abs(point).max()) for point in known))
    limits = (-reach, reach)
    grid = np.stack(np.meshgrid(np.linspace(*limits, 161), np.linspace(*limits, 161)), axis=-1)
    axes.set(xlim=limits, ylim=limits, xticks=[], yticks=[])
    axes.set_aspect("equal")
    axes.imshow(game.reward.value(grid), origin="lower", extent=(*limits, *limits), cmap="Greens", alpha=0.6)
    for line in (axes.axhline, axes.axvline):
        line(0.0, color="0.75", linewidth=0.8, zorder=1)
    axes.text(0.99, 0.01, "x₁", transform=axes.transAxes, ha="right", va="bottom", color="0.4")
    axes.text(0.01, 0.99, "x₂", transform=axes.transAxes, ha="left", va="top", color="0.4")
    if scene.played is not None:
        _draw_pushes(game, axes, scene)
    axes.plot(*state, "o", color="black", markersize=9, zorder=5)


def _draw_pushes(game: LinearGaussianGame, axes: Any, scene: Scene) -> None:
    """The last stage as a chain of arrows: drift A x, the leader's C a, the follower's B u."""
    played = scene.played
    assert played is not None
    before = np.asarray(played.state, dtype=np.float64)
    points: list[FloatArray] = [before, game.state_matrix @ before]
    points.append(points[-1] + game.leader_matrix @ np.asarray(played.leader_action))
    points.append(points[-1] + game.follower_matrix @ np.asarray(played.follower_action))
    axes.plot(*before, "o", color="0.5", markersize=6, zorder=4)
    chain = zip(points[:-1], points[1:], ("0.6", "tab:blue", "tab:red"), ("drift", "leader", "follower"), strict=True)
    for tail, head, colour, label in chain:
        style = {"arrowstyle": "->", "color": colour, "linewidth": 2.0, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", xy=head, xytext=tail, arrowprops=style, zorder=3)
        axes.plot([], [], color=colour, label=label)
    axes.legend(loc="upper right", fontsize=8, framealpha=0.85)
