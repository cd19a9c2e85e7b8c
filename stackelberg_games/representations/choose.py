"""Which representation fits a game, and what its settings are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackelberg_games.errors import InvalidArgumentError, RegistrationError, UnsupportedGameError
from stackelberg_games.learning import registry
from stackelberg_games.representations.compared import Compared
from stackelberg_games.representations.compared_stages import ComparedStages
from stackelberg_games.representations.configured_linear import ConfiguredLinear
from stackelberg_games.representations.finite import Finite
from stackelberg_games.representations.inferred import inferring
from stackelberg_games.representations.linear import Linear
from stackelberg_games.representations.networks import Networks
from stackelberg_games.representations.protocol import Needs, Representation
from stackelberg_games.representations.seen import Seen
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView

USUAL: tuple[type[Representation], ...] = (Compared, ComparedStages, Finite, ConfiguredLinear, Linear, Networks)
"""In the order in which they are asked whether they fit."""

_SOURCES = {False: "rewards of stages", True: "a judge's labels of pairs of episodes"}


def kind_of(view: LeaderView, commitment: Commitment, name: str | None) -> type[Representation]:
    """The class of a representation by its name, or the one that fits.

    Raises:
        UnknownIdError, RegistrationError: there is no such name, or it is not that of a representation.
        UnsupportedGameError: none fits.
    """
    if name is not None:
        found = registry.factory("representation", name)
        if not (isinstance(found, type) and issubclass(found, Representation)):
            raise RegistrationError(f"representation {name!r} is {found!r}: expected a class of Representation")
        return found
    for kind in USUAL:
        if kind.fits(view, commitment):
            return kind
    raise UnsupportedGameError(
        f"no representation fits states in {view.state_space}, leader actions in {view.leader_action_space} and "
        f"follower actions in {view.follower_action_space} under a {type(commitment).__name__}; "
        "evolution_strategies and random_search need none"
    )


def choose(
    view: LeaderView, commitment: Commitment, needs: Needs, seed: int, settings: Mapping[str, Any]
) -> Representation:
    """A representation that has learned nothing yet.

    Args:
        view: what the leader was told of the game.
        commitment: of the first episode.
        needs: what the algorithm is going to ask.
        seed: of its own randomness.
        settings: ``kind``, and the settings of that kind.

    Raises:
        InvalidArgumentError: a setting is not one that makes a difference there.
        UnsupportedGameError: it does not fit the game, or cannot give what is asked.
    """
    chosen = dict(settings)
    kind = kind_of(view, commitment, chosen.pop("kind", None))
    if (view.judged is not None) != kind.compares:
        raise UnsupportedGameError(
            f"representation {name_of(kind)!r} learns from {_SOURCES[kind.compares]}, and in this game there are "
            f"{_SOURCES[view.judged is not None]}; drlhf, bchg, hpgd and sobirl learn from a judge's labels"
        )
    offered = kind.settings(view, needs)
    for name in chosen:
        if name not in offered:
            raise InvalidArgumentError(
                f"representation.{name}: {name_of(kind)} makes no use of such a setting here; "
                f"it makes use of {', '.join(offered) or 'none'}"
            )
    if needs.reads not in kind.reads:
        raise UnsupportedGameError(
            f"reads={needs.reads!r}: {name_of(kind)} reads nothing of the follower; set reads='none', as bchg does by itself"
        )
    large = kind is Finite and Seen.fits(view, commitment)
    made = (Seen if large else kind)(view, commitment, needs, seed, **chosen)
    return inferring(made, view) if needs.infers else made


def name_of(kind: type[Representation]) -> str:
    """The name of a kind of representation for messages."""
    return registry.id_of_class("representation", kind)
