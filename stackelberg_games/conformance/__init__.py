"""Does a game keep the promises that players, learners and tournaments rely on?

``check_game`` runs PettingZoo's own tests, with and without wrappers, and what they miss: that the
follower sees the leader's move and the leader not the follower's, that seeds mean what they say,
that no state survives a reset, that observations and infos are fresh objects, that copies keep a
running episode, that every face plays the same episodes, that the model is the truth, and that derivatives which
are written down are those of automatic differentiation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from stackelberg_games import checks
from stackelberg_games.conformance import derivatives as derivatives
from stackelberg_games.conformance import episodes as episodes
from stackelberg_games.conformance import faces as faces
from stackelberg_games.conformance import protocol as protocol
from stackelberg_games.conformance import rules as rules
from stackelberg_games.conformance import visibility as visibility
from stackelberg_games.conformance.play import NotApplicable, Subject
from stackelberg_games.errors import ConformanceError, InvalidArgumentError

CheckStatus = Literal["passed", "failed", "skipped"]
Check = Callable[[Subject], None]

CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        rules.rules_fit_their_declarations,
        protocol.agents,
        protocol.metadata,
        protocol.api_of_env,
        protocol.api_of_raw_env,
        protocol.seeds_of_two_envs,
        protocol.order_of_moves,
        visibility.follower_sees_the_move,
        visibility.leader_sees_no_reply,
        visibility.leader_tells_no_more_apart,
        protocol.observations_in_their_spaces,
        protocol.state_in_its_space,
        protocol.rewards_are_finite,
        protocol.masked_play,
        protocol.refuses_actions_outside_the_space,
        protocol.rounds_of_an_episode,
        protocol.render_modes,
        protocol.parallel_faces,
        episodes.same_seed_same_episode,
        episodes.reset_forgets,
        episodes.unseeded_resets_differ,
        episodes.observations_are_fresh,
        episodes.infos_are_fresh,
        episodes.copies_keep_the_episode,
        faces.every_face_plays_the_same_episodes,
        faces.batches_do_not_matter,
        faces.steps_follow_the_model,
        derivatives.slopes_are_derivatives,
    )
}
"""The battery, by name."""

FIRST = rules.rules_fit_their_declarations.__name__
"""Where it fails the others are not tried: they would fail for the same reason and not say so."""

_EXPECTED = (
    "Agents have different observation space",
    "Observations are different shapes",
    "Observation is a single number",
    "State is a single number",
    "Observation numpy array is all zeros",  # a leader's, before it has configured the game
    "Action space for each agent probably",
    "The class of action spaces is different",
)
"""What PettingZoo's tests warn of in any game whose players differ; not worth a note."""


@dataclass(frozen=True)
class CheckOutcome:
    """What came of one check.

    Attributes:
        name: of the check, a key of ``CHECKS``.
        status: ``"passed"``, ``"failed"`` or ``"skipped"``.
        detail: what is wrong, or why the check does not apply.
        remedy: how to mend it.
        notes: warnings of PettingZoo's tests.
    """

    name: str
    status: CheckStatus
    detail: str = ""
    remedy: str = ""
    notes: tuple[str, ...] = ()

    @property
    def error(self) -> ConformanceError:
        """What is wrong and how to mend it, as an error to raise."""
        return ConformanceError(self.detail, self.remedy)

    def __str__(self) -> str:
        text = f"{self.status:<8} {self.name}"
        text = f"{text}: {self.detail}" if self.detail else text
        return f"{text}\n{'':<9}-> {self.remedy}" if self.remedy else text


@dataclass(frozen=True)
class Report:
    """What came of all checks of a game."""

    outcomes: tuple[CheckOutcome, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    @property
    def passed(self) -> tuple[CheckOutcome, ...]:
        """Checks that the game passed."""
        return self._of("passed")

    @property
    def failed(self) -> tuple[CheckOutcome, ...]:
        """Checks that the game failed, each with what is wrong and how to mend it."""
        return self._of("failed")

    @property
    def skipped(self) -> tuple[CheckOutcome, ...]:
        """Checks that do not apply, each with the reason."""
        return self._of("skipped")

    @property
    def notes(self) -> list[str]:
        """Warnings of PettingZoo's tests, each once."""
        return list(dict.fromkeys(note for outcome in self.outcomes for note in outcome.notes))

    @property
    def summary(self) -> str:
        """How many checks passed, failed and were skipped."""
        return f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"

    def require(self) -> None:
        """Raise ``ConformanceError`` naming everything that failed; for use in a test."""
        if self.failed:
            raise ConformanceError("\n".join(map(str, self.failed)))

    def __str__(self) -> str:
        notes = [f"note     {note}" for note in self.notes]
        return "\n".join([*map(str, self.outcomes), *notes, self.summary])

    def _of(self, status: CheckStatus) -> tuple[CheckOutcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.status == status)


def check_game(factory: Any, *, skip: Collection[str] = (), follower_sees_action: bool | None = None) -> Report:
    """Run the whole battery on a game.

    Examples:
        >>> import stackelberg_games as sg
        >>> report = sg.check_game(lambda: sg.make("matrix-v0"))
        >>> report.ok
        True

    Args:
        factory: a callable without required arguments that makes a ``Game`` or a PettingZoo AEC
            environment with the agents ``leader_0`` and ``follower_0``; or a game.
        skip: names of checks to leave out.
        follower_sees_action: whether the follower of an AEC environment is meant to see the
            leader's action; by default what its ``metadata["follower_sees_action"]`` says, else
            True. A ``Game`` says it itself.

    Returns:
        The report; nothing is raised for what the game does wrong (see ``Report.require``).

    Raises:
        InvalidArgumentError: the factory makes something else, or there is no such check.
    """
    return Report(tuple(outcomes(factory, skip=skip, follower_sees_action=follower_sees_action)))


def outcomes(
    factory: Any, *, skip: Collection[str] = (), follower_sees_action: bool | None = None
) -> Iterator[CheckOutcome]:
    """The outcomes of ``check_game``, each as soon as it is known."""
    if not isinstance(skip, list | tuple | set | frozenset):
        raise InvalidArgumentError(f"skip={checks.shown(skip)}: expected names of checks")
    if follower_sees_action is not None:
        follower_sees_action = checks.flag("follower_sees_action", follower_sees_action)
    unknown = sorted({*map(str, skip)} - CHECKS.keys())
    if unknown:
        raise InvalidArgumentError(f"no check is called {unknown[0]!r}; there are {', '.join(CHECKS)}")
    subject = Subject.of(factory, follower_sees_action)
    sound = True
    for name in CHECKS:
        reason = "by request" if name in skip else "" if sound else "until the rules fit their declarations"
        outcome = CheckOutcome(name, "skipped", reason) if reason else run(name, subject)
        sound = sound and not (name == FIRST and outcome.status == "failed")
        yield outcome


def run(name: str, subject: Subject) -> CheckOutcome:
    """Run one check; whatever the game raises in it is a failure."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if name not in (FIRST, protocol.agents.__name__) and not subject.both_agents:
                raise NotApplicable("there is no leader or no follower")
            CHECKS[name](subject)
        except NotApplicable as reason:
            return CheckOutcome(name, "skipped", str(reason))
        except ConformanceError as error:
            return CheckOutcome(name, "failed", error.problem, error.remedy, _notes(caught))
        except Exception as error:  # noqa: BLE001 (a game may raise anything)
            return CheckOutcome(name, "failed", *_crash(error))
    return CheckOutcome(name, "passed", notes=_notes(caught))


def _crash(error: Exception) -> tuple[str, str]:
    """What was raised, and the deepest place outside the libraries involved."""
    frame, place = error.__traceback__, ""
    while frame is not None:
        package = frame.tb_frame.f_globals.get("__name__", "").partition(".")[0]
        if package not in ("stackelberg_games", "pettingzoo", "gymnasium", "numpy"):
            place = f"raised at {frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}"
        frame = frame.tb_next
    return f"{type(error).__name__}: {error}", place


def _notes(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    messages = dict.fromkeys(str(w.message) for w in caught if not issubclass(w.category, DeprecationWarning))
    return tuple(message for message in messages if not message.startswith(_EXPECTED))
