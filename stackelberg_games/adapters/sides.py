"""Who of an environment's agents is the leader, who follows, who plays for neither, and who sees what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stackelberg_games import checks
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError
from stackelberg_games.rules.scene import FOLLOWER, LEADER

EVERYBODY = "*"
"""Stands for all further agents in ``Sides.others``."""


@dataclass(frozen=True)
class Sides:
    """The two sides of an environment.

    Attributes:
        leader: the agent that leads.
        followers: the agents of the follower's side, which one learner plays with shared parameters.
        others: policies of all further agents by name, see ``policies.chooser``; ``"*"`` stands for all not named.
        shared: agents whose observations the leader gets beside its own.
        follower_sees_action: whether the follower knows the leader's move of a stage when it moves; None for
            as the environment has it.
    """

    leader: str = LEADER
    followers: tuple[str, ...] = (FOLLOWER,)
    others: Mapping[str, Any] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    follower_sees_action: bool | None = None

    @classmethod
    def of(
        cls,
        leader: str,
        follower: str | Sequence[str],
        others: Mapping[str, Any] | str | None = None,
        shared: str | Sequence[str] = (),
        follower_sees_action: bool | None = None,
    ) -> Sides:
        """Sides as users write them.

        Raises:
            InvalidArgumentError: a name is no text, somebody is named twice, or a flag is none.
        """
        followers, given = _names("follower", follower), _names("shared", shared)
        if not followers:
            raise InvalidArgumentError("follower=[]: expected the name of at least one agent")
        if not isinstance(leader, str):
            raise InvalidArgumentError(f"leader={checks.shown(leader)}: expected the name of one agent")
        if isinstance(others, str):
            others = {EVERYBODY: others}
        if others is not None and not isinstance(others, Mapping):
            raise InvalidArgumentError(
                f"others={checks.shown(others)}: expected 'uniform', or policies by the names of agents"
            )
        named = [leader, *followers, *(others or {})]
        for name in named:
            if named.count(name) > 1:
                raise InvalidArgumentError(f"agent {name!r} is named twice; it plays for one side, or for none")
        if not (follower_sees_action is None or isinstance(follower_sees_action, bool)):
            raise InvalidArgumentError(
                f"follower_sees_action={checks.shown(follower_sees_action)}: expected None, True or False"
            )
        return cls(leader, followers, dict(others or {}), given, follower_sees_action)

    def policy(self, agent: str) -> Any:
        """The policy of a further agent, or None where none is given."""
        return self.others.get(agent, self.others.get(EVERYBODY))

    def check(self, agents: Sequence[str], name: str) -> None:
        """Raise ``InvalidGameError`` unless every agent of an environment has its place, and every name an agent."""
        known = list(agents)
        for role, names in (("leader", [self.leader]), ("follower", self.followers), ("shared", self.shared)):
            for agent in names:
                if agent not in known:
                    raise InvalidGameError(
                        f"{name} has the agents {known}, and no {agent!r} as {role}; say who is who: "
                        "sg.adapt(env, leader=..., follower=...)"
                    )
        for agent in self.others:
            if agent not in (*known, EVERYBODY):
                raise InvalidGameError(f"{name} has the agents {known}, and no {agent!r} as in others")
        rest = [agent for agent in known if agent not in (self.leader, *self.followers) and self.policy(agent) is None]
        if rest:
            raise InvalidGameError(
                f"{name} has the further agents {rest}; say how they play, others={{{rest[0]!r}: 'uniform'}}, or let them "
                f"play on the follower's side, follower={[*self.followers, *rest]}"
            )
        if self.leader in self.shared:
            raise InvalidGameError(f"shared={self.shared}: the leader {self.leader!r} sees its own observations anyway")


def _names(what: str, given: str | Sequence[str]) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list | tuple) else None
    if names is None or not all(isinstance(name, str) for name in names):
        raise InvalidArgumentError(f"{what}={checks.shown(given)}: expected the name of an agent, or a list of names")
    return names
