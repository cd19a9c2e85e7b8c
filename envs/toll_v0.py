"""Tolls: travellers choose ways through a network in which every one of them slows the others down.

| fact            | value                                                                       |
|-----------------|-----------------------------------------------------------------------------|
| Agents          | leader_0 (who sets tolls), follower_0 (one traveller of a population)       |
| States          | pairs of origin and destination                                             |
| Follower actions| the pair's ways, by length and then in the order of their edges             |
| Configuration   | tolls on the edges ``tolled``, each in [0, ``highest_toll``]: none below zero |
| Latency         | of an edge that f travellers use: fixed + slope f^power                     |
| Follower        | minus the latencies and the tolls of its way                                |
| Leader          | minus the latencies: tolls only change hands                                |
| Horizon         | 1                                                                           |
| Optimum         | ``pigou`` -0.75 by the toll 1/2, untolled -1; ``braess`` -1.5 by closing the middle link, untolled -2 |

Latencies follow from what all travellers choose: their response to tolls is a fixed point of its own flow, a Wardrop
equilibrium at ``temperature`` 0 and a logit equilibrium above (Fisk 1980). Nothing is drawn by chance but who travels.

Proof: no choice of ways is better than the one that minimises the mean latency, a convex program, whatever the tolls; where
tolls make that an equilibrium they are optimal, and a linear program finds them. ``pigou``: two roads that take 1 and the
share y of who uses it, so the mean is 1 - y + y^2, least at 1/2; with the toll 1/2 both roads cost the same there, so that
half of the travellers choose each at every temperature. ``braess``: the middle link tempts everybody onto both edges that
take as long as they are full; any toll from 1/2 on empties it. At a temperature it is never quite empty, and the higher the
toll the better.

A network of your own is a list of ``edges``, (from, to, fixed, slope) or with a power behind; ways are its simple paths.

Source: Pigou, "The economics of welfare", 1920; Braess, "Über ein Paradoxon aus der Verkehrsplanung", 1968.

Version history: v0, first version.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidGameError, UnknownIdError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.congestion import Resources
from stackelberg_games.kinds.population import PopulationGame
from stackelberg_games.rules.scene import Scene
from stackelberg_games.settings import checked

Edge = Sequence[Any]

MOST_WAYS = 1000
"""Of one pair."""

NAMED = 12
"""Edges up to which pictures say what each takes."""

PRESETS: dict[str, tuple[Sequence[Edge], Sequence[int]]] = {
    "pigou": ((("s", "t", 1.0, 0.0), ("s", "t", 0.0, 1.0)), (1,)),
    "braess": (
        (("s", "v", 0, 1), ("v", "t", 1, 0), ("s", "w", 1, 0), ("w", "t", 0, 1), ("v", "w", 0, 0)),
        (4,),
    ),
}
"""Edges, and numbers of those that are tolled."""


class TollGame(PopulationGame):
    """A network whose travellers are the follower.

    Args:
        edges: see ``game``.
        demand: origin, destination and number of travellers, for each pair.
        settings: what else ``PopulationGame`` takes.
    """

    def __init__(
        self, edges: Sequence[Edge], demand: Sequence[Sequence[Any]], priced: Sequence[int], **settings: Any
    ) -> None:
        self.edges = [_edge(number, edge) for number, edge in enumerate(edges)]
        self.ways = [_ways(self.edges, str(first), str(last)) for first, last, _ in demand]
        widest = max(map(len, self.ways))
        uses = np.zeros((len(self.ways), widest, len(self.edges)))
        for pair, ways in enumerate(self.ways):
            for number, way in enumerate(ways):
                uses[pair, number, list(way)] = 1.0
        opened = np.arange(widest) < np.array([[len(ways)] for ways in self.ways])
        terms = np.array([edge[2:] for edge in self.edges]).T
        amount = np.array([float(pair[2]) for pair in demand])
        super().__init__(Resources(uses, opened, amount, *terms), priced, **settings)
        self.state_labels = [f"{first} to {last}" for first, last, _ in demand]

    def draw(self, axes: Any, scene: Scene) -> bool:
        """The network: the more travellers on an edge, the wider; the way of the one shown is in colour."""
        from stackelberg_games.rules.drawing import FAINT, INK, MOVED, PALE

        prices = np.zeros(self.size) if scene.configuration is None else np.asarray(scene.configuration)
        share, places = self.flow(prices) / self.resources.amount.sum(), self.places()
        travelled: tuple[int, ...] = ()
        if scene.played is not None:
            travelled = self.ways[int(scene.played.state)][int(scene.played.follower_action)]
        axes.set(xlim=(-0.12, 1.12), ylim=(-0.12, 1.12))
        for number in range(len(self.edges)):
            middle = self._draw_edge(
                axes, places, number, 1.0 + 9.0 * share[number], MOVED if number in travelled else FAINT
            )
            if len(self.edges) <= NAMED:
                self._name_edge(axes, middle, number, prices)
        for name, place in places.items():
            circle = {"boxstyle": "circle,pad=0.4", "facecolor": PALE, "edgecolor": FAINT}
            axes.text(*place, name, ha="center", va="center", fontsize=11, color=INK, bbox=circle, zorder=5)
        return True

    def _draw_edge(self, axes: Any, places: dict[str, FloatArray], number: int, width: float, color: str) -> FloatArray:
        """Draw an arrow, bent where there are others between the same nodes; returns where words about it go."""
        from matplotlib.patches import FancyArrowPatch

        ends = [edge[:2] for edge in self.edges]
        first, last = ends[number]
        alone = sum({first, last} == set(other) for other in ends) == 1
        bend = 0.0 if alone else 0.3 * (-1) ** ends[:number].count((first, last))
        (x, y), (right, up) = places[first], places[last]
        style = {"connectionstyle": f"arc3,rad={bend}", "arrowstyle": "-|>,head_length=6,head_width=4"}
        look = {"linewidth": width, "color": color, "shrinkA": 16, "shrinkB": 16, "zorder": 2}
        axes.add_patch(FancyArrowPatch((x, y), (right, up), **style, **look))  # type: ignore[arg-type]
        return np.array([0.45 * x + 0.55 * right + bend * (up - y) / 2, 0.45 * y + 0.55 * up - bend * (right - x) / 2])

    def _name_edge(self, axes: Any, middle: FloatArray, number: int, prices: FloatArray) -> None:
        """Write an edge's latency, and its toll below where it has one."""
        from stackelberg_games.rules.drawing import INK, LEADER_COLOR

        _, _, fixed, slope, power = self.edges[number]
        factor, above = "" if slope == 1 else f"{slope:.3g} ", "" if power == 1 else f"^{power:.3g}"
        terms = ([f"{fixed:.3g}"] if fixed or not slope else []) + ([f"{factor}f{above}"] if slope else [])
        look = {"ha": "center", "fontsize": 10, "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.5}}
        axes.text(*middle, " + ".join(terms), va="bottom", color=INK, zorder=3, **look)
        if self.priced[number].any():
            toll = float(self.priced[number] @ prices)
            axes.text(*middle, f"toll {toll:.3g}", va="top", color=LEADER_COLOR, zorder=4, **look)

    def places(self) -> dict[str, FloatArray]:
        """Where nodes are drawn: from left to right by the number of edges from the first origin, in [0, 1]^2."""
        first = self.edges[self.ways[0][0][0]][0]
        layer, front = {first: 0}, [first]
        for node in front:
            for edge in self.edges:
                if edge[0] == node and edge[1] not in layer:
                    layer[edge[1]] = layer[node] + 1
                    front.append(edge[1])
        last = self.edges[self.ways[0][0][-1]][1]
        layer[last] = max(layer.values()) + (sum(deep == layer[last] for deep in layer.values()) > 1)
        for edge in self.edges:
            for node in edge[:2]:
                layer.setdefault(node, 0)
        depth, found = max(max(layer.values()), 1), {}
        for deep in range(depth + 1):
            names = [name for name in layer if layer[name] == deep]
            for row, name in enumerate(names):
                found[name] = np.array(
                    [deep / depth, 1 - (row + 1) / (len(names) + 1) if len(names) != 2 else 1.0 - row]
                )
        return found


def _edge(number: int, edge: Edge) -> tuple[str, str, float, float, float]:
    """Both ends, fixed, slope and power."""
    try:
        first, last, fixed, slope = edge[:4]
        numbers = float(fixed), float(slope), float(edge[4]) if len(edge) == 5 else 1.0
    except (TypeError, ValueError) as error:
        raise InvalidGameError(
            f"edge {number}, {edge!r}: expected (from, to, fixed, slope) or with a power behind"
        ) from error
    if len(edge) > 5:
        raise InvalidGameError(f"edge {number}, {edge!r}: expected (from, to, fixed, slope) or with a power behind")
    if numbers[1] < 0:
        raise InvalidGameError(
            f"edge {number} from {first} to {last}: slope={numbers[1]:g}, so that its latency falls with the flow; expected >= 0"
        )
    return str(first), str(last), *numbers


def _ways(edges: Sequence[Edge], first: str, last: str) -> list[tuple[int, ...]]:
    """All simple paths as numbers of their edges, the short ones first.

    Raises:
        InvalidGameError: there is none, or there are more than ``MOST_WAYS``.
    """
    found = []
    for way in _walks(edges, first, last):
        found.append(way)
        if len(found) > MOST_WAYS:
            raise InvalidGameError(f"from {first} to {last} lead more than {MOST_WAYS} ways; leave edges out")
    if not found:
        nodes = sorted({node for edge in edges for node in edge[:2]})
        raise InvalidGameError(
            f"no way leads from {first} to {last}; nodes are {', '.join(nodes)}, and edges have a direction"
        )
    return sorted(found, key=lambda way: (len(way), way))


def _walks(edges: Sequence[Edge], first: str, last: str) -> Iterator[tuple[int, ...]]:
    """Simple paths, one after the other; none is begun that cannot arrive, so that dead ends cost nothing."""
    leaving: dict[str, list[int]] = defaultdict(list)
    entering: dict[str, set[str]] = defaultdict(set)
    for number, edge in enumerate(edges):
        leaving[edge[0]].append(number)
        entering[edge[1]].add(edge[0])

    def onward(node: str) -> Iterator[int]:
        """Edges from a node that lead to where the end can be reached without passing a node twice."""
        reached, front = {last} - passed, [last] * (last not in passed)
        for other in front:
            found = entering[other] - passed - reached
            reached |= found
            front += found
        return iter([number for number in leaving[node] if edges[number][1] in reached])

    way: list[int] = []
    passed = {first}
    choices = [onward(first)]
    while choices:
        number = next(choices[-1], -1)
        node = edges[number][1]
        if number < 0:
            choices.pop()
            passed -= {edges[way.pop()][1]} if way else {first}
        elif node == last:
            yield (*way, number)
        else:
            way.append(number)
            passed.add(node)
            choices.append(onward(node))


@checked
def game(
    preset: str = "pigou",
    *,
    edges: Sequence[Edge] | None = None,
    demand: Sequence[Sequence[Any]] | None = None,
    tolled: Sequence[int] | None = None,
    highest_toll: float = 2.0,
    temperature: float = 0.05,
) -> TollGame:
    """A network with tolls.

    Args:
        preset: one of ``PRESETS``; from s to t.
        edges: (from, to, fixed, slope) or (from, to, fixed, slope, power) for each, in the place of the preset's.
        demand: (origin, destination, travellers) for each pair; one traveller from s to t if not given.
        tolled: numbers of the edges that have a toll; those of the preset, or all of ``edges``, if not given.
        highest_toll: of an edge, > 0.
        temperature: of the travellers, >= 0; the follower's has to be the same.

    Raises:
        UnknownIdError: no such preset.
        InvalidGameError: a latency falls with the flow, no way leads from an origin to its destination, or a number is out
            of range.
    """
    if preset not in PRESETS:
        raise UnknownIdError("network", preset, PRESETS)
    given = [(("s", "t", 1.0),), PRESETS[preset][0]]
    pairs, lines = (own if other is None else other for own, other in zip(given, (demand, edges), strict=True))
    if not len(lines) or not len(pairs) or not all(len(pair) == 3 for pair in pairs):
        raise InvalidGameError(
            f"edges={lines!r}, demand={pairs!r}: expected edges, and (origin, destination, travellers)"
        )
    priced = tolled if tolled is not None else PRESETS[preset][1] if edges is None else range(len(lines))
    settings = {"highest": highest_toll, "temperature": temperature, "name": "toll-v0"}
    return TollGame(lines, pairs, priced, **settings)


env, raw_env, parallel_env = faces(game)
