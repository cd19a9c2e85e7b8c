"""Games, leaders and followers by id, found through entry points.

Built-in and third-party agents and games enter by the same door: the entry-point groups
``stackelberg_games.games``, ``stackelberg_games.leaders``, ``stackelberg_games.followers`` and
``stackelberg_games.representations``, whose names are ids and whose objects are factories. ``register`` adds one at run time.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from stackelberg_games import checks, settings
from stackelberg_games.errors import (
    InformationError,
    InvalidArgumentError,
    RegistrationError,
    StackelbergError,
    UnknownIdError,
    UnsupportedGameError,
    retold,
)

if TYPE_CHECKING:
    from pettingzoo import AECEnv, ParallelEnv

    from stackelberg_games.kinds.game import Game
    from stackelberg_games.learning.follower import Follower
    from stackelberg_games.learning.leader import Leader

Kind = Literal["game", "leader", "follower", "representation"]
Factory = TypeVar("Factory", bound=Callable[..., Any])
_OWN = "stackelberg-games"
_GAME_ID = re.compile(r"([\w.:-]+?)(-v\d+)?")
_added: dict[str, dict[str, Callable[..., Any]]] = {
    "game": {},
    "leader": {},
    "follower": {},
    "representation": {},
}


@cache
def _entries(kind: Kind) -> dict[str, EntryPoint]:
    """Entry points by id; on a clash the built-in one wins and the other is named in a warning."""
    found: dict[str, EntryPoint] = {}
    entries = entry_points(group=f"stackelberg_games.{kind}s")
    for entry in sorted(entries, key=lambda e: (e.dist is None or e.dist.name != _OWN, e.name)):
        source = _source(entry)
        if kind == "game" and not _GAME_ID.fullmatch(entry.name):
            warnings.warn(f"game {entry.name!r} of {source} is ignored: malformed id", stacklevel=3)
            continue
        if entry.name in found and entry.value != found[entry.name].value:
            holder = _source(found[entry.name])
            warnings.warn(f"{kind} {entry.name!r} of {source} is ignored: {holder} has the id", stacklevel=3)
        found.setdefault(entry.name, entry)
    return found


def _holder(kind: Kind, taken: str) -> str:
    """Who registered an id, for messages."""
    if taken in _added[kind]:
        return f"{_added[kind][taken]!r}"
    entry = _entries(kind)[taken]
    return f"{_source(entry)} ({entry.value})"


def _source(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unknown distribution"


def register(kind: Kind, new_id: str) -> Callable[[Factory], Factory]:
    """Decorator that registers a factory under an id for this process.

    Examples:
        >>> import stackelberg_games as sg
        >>> @sg.register("game", "short_toy-v0")
        ... def game(horizon=10):
        ...     return sg.make("discrete_toy-v0", horizon=horizon)
        >>> sg.make("short_toy-v0").horizon, "short_toy-v0" in sg.games()
        (10, True)

    Raises:
        InvalidArgumentError: the id is taken, or no game can have it; or there is no such kind.
    """
    checks.choice("kind", kind, list(_added))
    checks.identifier(kind, new_id)

    def add(factory: Factory) -> Factory:
        if not callable(factory):
            raise InvalidArgumentError(
                f"{kind} {new_id!r}: {checks.shown(factory)} is not callable, so it makes nothing"
            )
        if new_id in ids(kind):
            holder = _holder(kind, new_id)
            raise InvalidArgumentError(
                f"the {kind} id {new_id!r} is taken by {holder}; choose another or raise its version"
            )
        if kind == "game":
            mirror(new_id)
        _added[kind][new_id] = factory
        return factory

    return add


def ids(kind: Kind) -> list[str]:
    """Sorted ids of everything registered of a kind."""
    return sorted({*_entries(kind), *_added[kind]})


def added(kind: Kind, wanted: str) -> Callable[..., Any] | None:
    """The factory registered under an id in this process only; None where every process has it."""
    return _added[kind].get(wanted)


def id_of(kind: Kind, agent: object) -> str:
    """The id under which the class of an agent is registered; its name where it is not."""
    return id_of_class(kind, type(agent))


def id_of_class(kind: Kind, made: type[Any]) -> str:
    """The id under which a class is registered; its name where it is not."""
    here = f"{made.__module__}:{made.__qualname__}"
    known = [(name, factory is made) for name, factory in _added[kind].items()]
    known += [(name, entry.value == here) for name, entry in _entries(kind).items()]
    return next((name for name, same in known if same), made.__qualname__)


@contextmanager
def refusals_named(kind: Kind, agent: object, game: Game) -> Iterator[None]:
    """Refusals that pass through say which agent refuses which game; settings that ask for too much memory are one.

    Raises:
        InvalidArgumentError: memory could not be had.
    """
    try:
        yield
    except MemoryError as error:
        who = f"{kind} {id_of(kind, agent)!r} in {game.name}"
        raise InvalidArgumentError(
            f"{who}: {agent} asks for more memory than there is ({error}); ask for less"
        ) from error
    except (UnsupportedGameError, InformationError) as error:
        raise retold(error, f"{kind} {id_of(kind, agent)!r} in {game.name}: {error}") from error


def factory(kind: Kind, wanted: str) -> Callable[..., Any]:
    """The factory registered under an id.

    Raises:
        UnknownIdError: nothing is; the message suggests the closest id.
        RegistrationError: the entry point of an installed distribution is broken.
    """
    checks.identifier(kind, wanted)
    if wanted in _added[kind]:
        return _added[kind][wanted]
    if wanted not in _entries(kind):
        raise UnknownIdError(kind, wanted, ids(kind))
    entry = _entries(kind)[wanted]
    try:
        loaded: Callable[..., Any] = entry.load()
    except Exception as error:  # a third party's module may raise anything
        raise RegistrationError(
            f"{kind} {wanted!r} of {_source(entry)}: {entry.value} cannot be imported "
            f"({type(error).__name__}: {error}); mend or uninstall that distribution"
        ) from error
    return loaded


def _build(kind: Kind, wanted: str, made_by: dict[str, Any], expected: type[Any]) -> Any:
    maker = factory(kind, wanted)
    built = build(f"{kind} {wanted!r}", maker, made_by)
    if not isinstance(built, expected):
        raise RegistrationError(
            f"the factory of {kind} {wanted!r} made {type(built).__name__}: it must return a {expected.__name__}"
        )
    return built


def build(who: str, maker: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """Call a factory with settings.

    Args:
        who: names it in messages.
        maker: the factory.
        given: its keyword arguments.

    Raises:
        InvalidArgumentError: it has no such setting, or the setting has no such value.
    """
    settings.check_bound(maker, given, f"{who}: ")
    settings.check(maker, given, f"{who}: ")
    try:
        return maker(**given)
    except Exception as error:
        if isinstance(error, StackelbergError) or not given:
            raise
        shown = ", ".join(f"{name}={checks.shown(value)}" for name, value in given.items())
        raise InvalidArgumentError(f"{who} with {shown}: {type(error).__name__}: {error}") from error


def make(game_id: str, /, **chosen: Any) -> Game:
    """A game by id.

    Examples:
        >>> import stackelberg_games as sg
        >>> sg.make("discrete_toy-v0", R=2.0)
        TabularGame('discrete_toy-v0': states Discrete(3), leader Discrete(2), follower Discrete(3), horizon 150)
        >>> sg.make("discrete_toy-v0", horizont=20)
        Traceback (most recent call last):
            ...
        stackelberg_games.errors.InvalidArgumentError: game 'discrete_toy-v0': no setting 'horizont'; did you mean 'horizon'?

    Raises:
        UnknownIdError: no such game.
        InvalidArgumentError: it has no such setting, or the setting has no such value.
        RegistrationError: its entry point is broken, or makes something else.
    """
    from stackelberg_games.kinds.game import Game
    from stackelberg_games.numerics.threads import own_modes

    with own_modes():
        game: Game = _build("game", game_id, chosen, Game)
    game.spec = (game_id, chosen)
    return game


def make_leader(leader_id: str, /, **chosen: Any) -> Leader:
    """A leader by id; raises like ``make``.

    Examples:
        >>> import stackelberg_games as sg
        >>> sg.make_leader("bchg", learning_rate=0.1).settings["learning_rate"]
        0.1
    """
    from stackelberg_games.learning.leader import Leader

    leader: Leader = _build("leader", leader_id, chosen, Leader)
    return leader


def make_follower(follower_id: str, /, **chosen: Any) -> Follower:
    """A follower by id; raises like ``make``.

    Examples:
        >>> import stackelberg_games as sg
        >>> sg.make_follower("quantal", factor=2.0)
        Quantal(temperature=0.05, sweeps=None, start='carry', factor=2.0)
    """
    from stackelberg_games.learning.follower import Follower

    follower: Follower = _build("follower", follower_id, chosen, Follower)
    return follower


def games() -> list[str]:
    """Ids of all registered games.

    Examples:
        >>> import stackelberg_games as sg
        >>> sg.games()[:3]
        ['bayesian_matrix-v0', 'cheetah_design-v0', 'continuous_toy-v0']
    """
    return ids("game")


def leaders() -> list[str]:
    """Ids of all registered leaders.

    Examples:
        >>> import stackelberg_games as sg
        >>> sg.leaders()[:3]
        ['bchg', 'bi_actor_critic', 'contextual']
    """
    return ids("leader")


def followers() -> list[str]:
    """Ids of all registered followers.

    Examples:
        >>> import stackelberg_games as sg
        >>> sg.followers()[:3]
        ['best_response', 'black_box', 'fixed']
    """
    return ids("follower")


def aec_env(*, game_id: str, render_mode: str | None = None, **settings: Any) -> AECEnv[Any, Any, Any]:
    """What PettingZoo's AEC registry constructs."""
    return make(game_id, **_renamed(settings)).env(render_mode)


def turns_env(*, game_id: str, render_mode: str | None = None, **settings: Any) -> ParallelEnv[Any, Any, Any]:
    """What PettingZoo's Parallel registry constructs under the game's own id."""
    return make(game_id, **_renamed(settings)).parallel_env("turns", render_mode)


def plan_env(*, game_id: str, render_mode: str | None = None, **settings: Any) -> ParallelEnv[Any, Any, Any]:
    """What PettingZoo's Parallel registry constructs under ``<game>_plan-v<N>``."""
    return make(game_id, **_renamed(settings)).parallel_env("plan", render_mode)


def _renamed(settings: dict[str, Any]) -> dict[str, Any]:
    """PettingZoo calls the horizon ``max_cycles``."""
    if "max_cycles" in settings:
        settings["horizon"] = settings.pop("max_cycles")
    return settings


def mirror(game_id: str) -> None:
    """Register a game in both of PettingZoo's registries, lazily, once.

    Raises:
        InvalidArgumentError: the id is malformed.
    """
    import pettingzoo

    match = _GAME_ID.fullmatch(game_id)
    if match is None:
        raise InvalidArgumentError(f"game id {game_id!r}: expected letters, digits and underscores, as in my_game-v0")
    name, version = match[1], match[2] or ""
    here = "stackelberg_games.learning.registry"
    wanted: tuple[tuple[Any, str, str], ...] = (
        ("aec", f"stackelberg/{game_id}", f"{here}:aec_env"),
        ("parallel", f"stackelberg/{game_id}", f"{here}:turns_env"),
        ("parallel", f"stackelberg/{name}_plan{version}", f"{here}:plan_env"),
    )
    known = {"aec": pettingzoo.aec_registry, "parallel": pettingzoo.parallel_registry}
    for kind, full_id, entry_point in wanted:
        if full_id not in known[kind]:
            pettingzoo.register(kind, full_id, entry_point, kwargs={"game_id": game_id})
