"""How dQF is had: ways to turn credits of the replies into the response row of a hypergradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.hypergradient import Influence
from stackelberg_games.learning.weighted_sum import Total
from stackelberg_games.representations.protocol import Adjoint, Credit, Values
from stackelberg_games.rules.trajectories import Trajectories


@dataclass(frozen=True)
class Unroll:
    """dQF unrolled along the very trajectory, by the traces of ``hypergradient.influence``.

    Args:
        decay: the traces decay by ``decay * gF`` a stage, in [0, 1]; 1 is unbiased, less forgets influences
            that reach far ahead and lowers the variance.
        centre: subtract from the traces of each episode their mean over the other episodes of the batch;
            a batch of a single episode has none. Where pairs of episodes are compared, over those of other pairs.
    """

    decay: float = 1.0
    centre: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.decay <= 1:
            raise InvalidArgumentError(f"decay={self.decay!r}: expected a number in [0, 1]")

    def __call__(self, values: Values, credit: Credit) -> Total:
        """The response row."""
        values.trace = self.trace(values, credit, values.batch)
        return values.unrolled(values.trace, credit, values.batch)

    def trace(self, values: Values, credit: Credit, batch: Trajectories) -> Influence:
        """How much the credits owe to each stage of a batch."""
        discounts, centre = (1.0, values.view.follower_discount), self.centre and batch.episodes > values.block
        return Influence.of(batch, credit.at, discounts, 1.0, self.decay, centre, values.block)


@dataclass(frozen=True)
class Bootstrap:
    """dQF = gF dVF(s') from the critic of the next state at once, as TD(0) stands to Monte Carlo."""

    def __call__(self, values: Values, credit: Credit) -> Total:
        """The response row."""
        return values.bootstrapped(credit)


@dataclass(frozen=True)
class Solve:
    """dQF from the fitted game, by one linear solve."""

    def __call__(self, values: Values, credit: Credit) -> Total:
        """The response row."""
        return values.solved(credit)


@dataclass(frozen=True)
class Average:
    """dQF(s, a, b) - E_b dQF as the difference of two means over visits, each unrolled along its trajectory.

    Args:
        wide: the episodes whose visits are averaged; those of the batch if None.
    """

    wide: Trajectories | None = None

    def __call__(self, values: Values, credit: Credit) -> Total:
        """The response row."""
        batch = values.batch if self.wide is None else self.wide
        credit = values.averaged(credit, batch)
        return values.unrolled(Unroll(centre=False).trace(values, credit, batch), credit, batch)


@dataclass(frozen=True)
class Truncate:
    """Nothing of dQF - E_b dQF but its first term, d rF(s, a, b) - E_b d rF."""

    def __call__(self, values: Values, credit: Credit) -> Total:
        """The response row."""
        return values.truncated(credit)


KINDS: dict[str, type[Unroll | Bootstrap | Solve]] = {"unroll": Unroll, "bootstrap": Bootstrap, "solve": Solve}


def adjoint(settings: Mapping[str, Any], offered: tuple[str, ...], by: str) -> Adjoint:
    """The adjoint that settings describe: ``kind``, the first of those offered if not given, and its own settings.

    Args:
        settings: such as ``{"decay": 0.8}`` or ``{"kind": "unroll"}``.
        offered: kinds that the representation in force offers.
        by: its name, for messages.

    Raises:
        InvalidArgumentError: it offers no such kind, or the kind has no such setting.
    """
    chosen = dict(settings)
    kind = chosen.pop("kind", offered[0])
    if kind not in offered:
        raise InvalidArgumentError(f"adjoint.kind={kind!r}: {by} offers {', '.join(offered)}")
    names = [field.name for field in fields(KINDS[kind])]
    for name in chosen:
        if name not in names:
            raise InvalidArgumentError(
                f"adjoint.{name}: the adjoint {kind!r} of {by} has no such setting; it has {', '.join(names) or 'none'}"
                + "".join(
                    f", and {other!r} has {', '.join(field.name for field in fields(KINDS[other]))}"
                    for other in offered
                    if other != kind and name in [field.name for field in fields(KINDS[other])]
                )
            )
    return KINDS[kind](**chosen)
