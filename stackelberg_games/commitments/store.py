"""Commitments back from their descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stackelberg_games.commitments import gaussian, networks
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.mlp import MLPPolicy
from stackelberg_games.commitments.parametrisation import parametrisation
from stackelberg_games.commitments.tabular import DiscretePolicy, Sizes, TabularPolicy
from stackelberg_games.errors import CheckpointError
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.observations import Observations


def restore(description: Mapping[str, Any]) -> Commitment:
    """An object as ``Commitment.describe`` described it, with fresh parameters.

    Raises:
        CheckpointError: the class is not one of this package's own; give an object to load into.
    """
    sizes = tuple(description.get("sizes", ()))
    if description["class"] in ("TabularPolicy", "MLPPolicy"):
        seen = description.get("observations")
        known = Sizes(sizes[0], sizes[1], None if seen is None else Observations(seen, sizes[0]))
        table = description["class"] == "TabularPolicy"
        return TabularPolicy(known) if table else MLPPolicy(known, description["hidden"])
    if description["class"] in ("LinearGaussianPolicy", "SquashedPolicy", "TabularActions"):
        return gaussian.rebuild(description)
    if description["class"] in ("MLPCategoricalPolicy", "MLPGaussianPolicy"):
        return networks.rebuild(description)
    if description["class"] == "Configuration":
        return _rebuild(description)
    raise CheckpointError(f"cannot rebuild a {description['class']} by itself; pass `commitment` to load into")


def _rebuild(description: Mapping[str, Any]) -> Configuration:
    transform, policy = description["transform"], description["policy"]
    beside = None if policy is None else restore(policy)
    if not (beside is None or isinstance(beside, DiscretePolicy)):
        raise CheckpointError(
            f"a configuration has a {policy['class']} beside it: expected a policy over finite actions"
        )
    found = None if transform is None else parametrisation(transform)
    return Configuration(np.zeros(description["shape"]), found, beside, description["states"])
