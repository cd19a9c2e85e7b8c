"""Policies that people have, asked for an action: Stable-Baselines3, RLlib, functions, and the simplest of all.

A policy is shown an observation as ``best_response_env`` shows it to a learner, without its mask, and is told the
mask where it takes one.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from stackelberg_games import checks
from stackelberg_games.adapters.spaces import Moves
from stackelberg_games.arrays import BoolArray
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError

Ask = Callable[[Any, "BoolArray | None"], Any]
"""From an observation and a mask (None where everything is allowed) to an action as an int or a flat vector."""

Chooser = Callable[[Any, "BoolArray | None", np.random.Generator], Any]
"""The same, with the random numbers of an episode."""

UNIFORM = "uniform"
METHODS = ("predict", "compute_single_action", "forward_inference")


def ask(policy: Any, moves: Moves, deterministic: bool = True) -> Ask:
    """How a policy object is asked.

    Args:
        policy: an object with ``predict(observation)`` (Stable-Baselines3, and sb3-contrib with ``action_masks``),
            ``compute_single_action(observation)`` (RLlib's policies and algorithms), ``forward_inference(batch)``
            (RLlib's modules), or a function of the observation, or of the observation and the mask.
        moves: of the agent that it plays.
        deterministic: handed to ``predict``.

    Raises:
        InvalidArgumentError: it is nothing of the kind.
    """
    check_policy(policy)
    if getattr(getattr(policy, "config", None), "enable_env_runner_and_connector_v2", False):
        policy = policy.get_module()  # RLlib's algorithms answer by themselves on its old stack only
    call = _call(policy, moves, deterministic)

    def answer(observation: Any, mask: BoolArray | None) -> Any:
        return _plain(call(observation, mask), moves, mask)

    return answer


def check_policy(policy: Any) -> None:
    """Raise ``InvalidArgumentError`` unless ``ask`` knows how to ask a policy."""
    if callable(policy) or any(hasattr(policy, name) for name in METHODS):
        return
    raise InvalidArgumentError(
        f"{checks.shown(policy)} is no policy: expected an object with predict(observation), "
        "compute_single_action(observation) or forward_inference(batch), or a function of the observation"
    )


def _call(policy: Any, moves: Moves, deterministic: bool) -> Callable[[Any, Any], Any]:
    if hasattr(policy, "predict"):
        takes = _takes(policy.predict)
        settings = {"deterministic": deterministic} if "deterministic" in takes else {}
        if "action_masks" in takes:
            return lambda seen, mask: _first(policy.predict(seen, action_masks=mask, **settings))
        return lambda seen, mask: _first(policy.predict(seen, **settings))
    if hasattr(policy, "compute_single_action"):
        return lambda seen, mask: _first(policy.compute_single_action(seen))
    if hasattr(policy, "forward_inference"):
        return lambda seen, mask: _inferred(policy, seen, mask, moves)
    if len(_takes(policy)) > 1:
        return lambda seen, mask: policy(seen, mask)
    return lambda seen, mask: policy(seen)


def takes_masks(policy: Any) -> bool:
    """Whether a policy's ``predict`` takes masks."""
    return "action_masks" in _takes(policy.predict)


def _takes(function: Any) -> list[str]:
    """Names of the parameters that are not optional, and of those that we know."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return ["observation"]
    known = ("deterministic", "action_masks")
    return [name for name, p in parameters.items() if name in known or (p.default is p.empty and p.kind < 2)]


def _first(answer: Any) -> Any:
    """The action of an answer that may hold the policy's state beside it."""
    return answer[0] if isinstance(answer, tuple) else answer


def _inferred(module: Any, seen: Any, mask: BoolArray | None, moves: Moves) -> Any:
    """The likeliest action of a module that gives the parameters of a distribution."""
    import torch

    with torch.no_grad():
        found = module.forward_inference({"obs": torch.as_tensor(np.asarray(seen))[None]})
    if "actions" in found:
        return found["actions"][0]
    law = _array(found["action_dist_inputs"][0])
    if not moves.finite:
        return np.clip(law[: moves.size], moves.space.low, moves.space.high)
    return int(np.argmax(law if mask is None else np.where(mask, law, -np.inf)))


def _array(values: Any) -> Any:
    """Of a tensor, too."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def _plain(action: Any, moves: Moves, mask: BoolArray | None) -> Any:
    """An action as an int or a flat vector.

    Raises:
        InvalidActionError: it is neither, or it is forbidden.
    """
    array = _array(action)
    if not moves.finite:
        return array.reshape(-1)
    if array.size != 1 or array.dtype.kind not in "iu":
        raise InvalidActionError(
            f"a policy of {moves.agent!r} answered {checks.shown(action)}: expected an action in {moves.space}"
        )
    index = int(array.reshape(-1)[0])
    if mask is not None and 0 <= index < moves.size and not mask[index]:
        raise InvalidActionError(
            f"a policy of {moves.agent!r} answered {index}, which its mask forbids; allowed: "
            f"{np.flatnonzero(mask).tolist()}; give a policy that takes masks, such as MaskablePPO of sb3-contrib"
        )
    return index


def chooser(policy: Any, moves: Moves) -> Chooser:
    """How one of the further agents of an environment plays.

    Args:
        policy: ``"uniform"``, a fixed action, the ``"module:attribute"`` of a policy, or a policy (see ``ask``).
        moves: of the agent.

    Raises:
        InvalidArgumentError: it is nothing of the kind.
        InvalidActionError: a fixed action is not in the space.
    """
    if isinstance(policy, str) and policy == UNIFORM:
        return Uniform(moves)
    if isinstance(policy, str):
        policy = _named(policy, moves.agent)
    if isinstance(policy, int | np.integer | list | np.ndarray) and not isinstance(policy, bool):
        fixed = moves.encode(moves.decode(policy))
        return lambda seen, mask, random: _plain(fixed, moves, mask)
    asked = ask(policy, moves)
    return lambda seen, mask, random: asked(seen, mask)


def _named(name: str, agent: str) -> Any:
    module, colon, attribute = name.partition(":")
    if not colon:
        raise InvalidArgumentError(
            f"others[{agent!r}]={checks.shown(name)}: expected 'uniform', an action, 'module:attribute' of a policy, or a policy"
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # the module's own code may raise anything
        raise InvalidArgumentError(f"others[{agent!r}]={checks.shown(name)} cannot be imported: {error}") from error


class Uniform:
    """Uniform over the allowed actions, or over a bounded Box; normal, within the bound that there is, elsewhere.

    Args:
        moves: of the agent.
    """

    def __init__(self, moves: Moves) -> None:
        self.moves = moves

    def __call__(self, seen: Any, mask: BoolArray | None, random: np.random.Generator) -> Any:
        """See ``Chooser``."""
        if not self.moves.finite:
            return self._vector(random)
        if mask is None:
            return int(random.random() * self.moves.size)
        open_to = np.flatnonzero(mask)
        return int(open_to[int(random.random() * len(open_to))])

    def _vector(self, random: np.random.Generator) -> Any:
        box = self.moves.space
        low, high = box.low.astype(np.float64), box.high.astype(np.float64)
        drawn = random.normal(size=self.moves.size)
        drawn = np.where(box.bounded_below, low + np.abs(drawn), drawn)
        drawn = np.where(box.bounded_above & ~box.bounded_below, high - np.abs(drawn), drawn)
        with np.errstate(invalid="ignore"):
            inside = low + (high - low) * random.random(self.moves.size)
        return np.where(box.bounded_below & box.bounded_above, inside, drawn)
