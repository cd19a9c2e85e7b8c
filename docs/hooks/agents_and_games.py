"""A page for every registered game, leader and follower, made when the site is built.

What an agent is comes from its module's text, what its settings are from its factory's docstring,
what it is worth from the numbers stored in ``docs/data``. A game or an agent that is registered
gets its page without a line here.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium

import stackelberg_games as sg
from stackelberg_games.learning.registry import Kind, factory

sys.path.insert(0, str(Path(__file__).parent))
from tables import gradients, optima

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

DOCS = Path(__file__).parent.parent
KINDS: dict[Kind, Callable[[], list[str]]] = {"game": sg.games, "leader": sg.leaders, "follower": sg.followers}
SHELVES: dict[str, Callable[[sg.Game], bool]] = {
    "The leader acts, in finitely many states": lambda game: not _configured(game) and _finite(game),
    "The leader acts, and states are vectors": lambda game: not _configured(game) and not _finite(game),
    "The leader configures the game": lambda game: _configured(game),
}
"""Where a game stands in the gallery: on the one shelf it belongs to."""
ALGORITHMS = ("surrogate", "_surrogate", "_gradient", "objective", "update")
"""Methods that hold a leader's algorithm, the most telling first."""
_CELL = re.compile(r"^\|([^|]*)\|(.*)\|\s*$")
_HISTORY = re.compile(r"^Version history: (.*)\Z", re.DOTALL | re.MULTILINE)
INTRODUCTIONS = {
    "game": "Every game comes as a PettingZoo AEC environment, in two Parallel forms, as a Gymnasium environment "
    "for its follower, and as the batched rules that training uses. `sg.make` makes one by its id.",
    "leader": "A leader is given what its [information class](../howto/information.md) grants, and nothing more. "
    "Leaders are compared within a class.",
    "follower": "A follower is given a commitment and returns a response. How it comes by it is its own business.",
}


def _configured(game: sg.Game) -> bool:
    return game.configuration_space is not None


def _finite(game: sg.Game) -> bool:
    return isinstance(game.state_space, gymnasium.spaces.Discrete)


def module_text(kind: Kind, name: str) -> str:
    """The text of the module in which something registered is written."""
    return inspect.cleandoc(sys.modules[factory(kind, name).__module__].__doc__ or "")


def first_line(kind: Kind, name: str) -> str:
    """What it is, in a line."""
    return module_text(kind, name).partition("\n")[0].rstrip(".")


def body(text: str) -> str:
    """A module's text as Markdown, without its first line and its version history."""
    rest = _HISTORY.sub("", text.partition("\n")[2]).strip("\n")
    return "\n".join(map(_row, rest.splitlines()))


def _row(line: str) -> str:
    """A table row in which bars within the second cell do not start a third."""
    match = _CELL.match(line)
    if match is None or set(line) <= set("|- "):
        return line
    return f"|{match[1]}|{match[2].replace('|', chr(92) + '|')}|"


def settings(kind: Kind, name: str) -> str:
    """The directive that shows the factory's arguments."""
    made = factory(kind, name)
    return "\n".join(
        [
            "## Settings",
            "",
            "With every setting at its default:",
            "",
            call(kind, name),
            "",
            f"::: {made.__module__}.{made.__qualname__}",
            "    options:",
            "      heading_level: 3",
            "      show_root_heading: false",
            "      show_root_toc_entry: false",
            "      show_bases: false",
            "      docstring_section_style: list",
            "      members: false",
        ]
    )


def call(kind: Kind, name: str) -> str:
    """How to make it, with every default that can be written down."""
    maker = "sg.make" if kind == "game" else f"sg.make_{kind}"
    settings = inspect.signature(factory(kind, name)).parameters.values()
    given = [f"    {setting.name}={setting.default!r}," for setting in settings if _written_down(setting.default)]
    text = "\n".join([f"{kind} = {maker}(", f'    "{name}",', *given, ")"]) if given else f'{kind} = {maker}("{name}")'
    return f"```python\n{text}\n```"


def first_code(kind: Kind, name: str) -> str:
    """How to make it with its defaults, for the first screen of its page."""
    maker = "sg.make" if kind == "game" else f"sg.make_{kind}"
    return f'```python\nimport stackelberg_games as sg\n\n{kind} = {maker}("{name}")\n```'


def _written_down(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError):
        return False


def notes(kind: Kind, name: str) -> str:
    """What is written by hand about it; empty where nothing is."""
    file = DOCS / f"{kind}s" / "_notes" / f"{name}.md"
    return file.read_text().strip() if file.exists() else ""


def game_page(name: str) -> str:
    """Facts, pictures, optimum, settings and history of a game."""
    text = module_text("game", name)
    picture = DOCS / "images" / "games" / f"{name}.png"
    history = _HISTORY.search(text)
    parts = [
        f"# {name}",
        f"**{first_line('game', name)}.**",
        first_code("game", name),
        f"![A frame of {name}](../images/games/{name}.png)" if picture.exists() else "",
        body(text),
        notes("game", name),
        optima(name),
        settings("game", name),
        f"## Version history\n\n{history[1].strip()}" if history else "",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def leader_facts(name: str) -> str:
    """What a leader needs, read off the leader itself."""
    leader = sg.make_leader(name)
    rewards, temperature = (
        "yes" if flag else "no" for flag in (leader.needs_follower_rewards, leader.needs_temperature)
    )
    does = ", ".join(sorted(power.value for power in leader.powers)) or "nothing"
    return (
        "| it needs | |\n|---|---|\n"
        f"| Information class | `{leader.information.name}` |\n"
        f"| What it does beside committing | {does} |\n"
        f"| The follower's rewards | {rewards} |\n"
        f"| The follower's temperature | {temperature} |"
    )


def follower_facts(name: str) -> str:
    """What a follower tells."""
    follower = sg.make_follower(name)
    told = follower.declared_temperature
    return f"| it tells | |\n|---|---|\n| Declared temperature | {'none' if told is None else f'{told:g}'} |"


def agent_page(kind: Kind, name: str) -> str:
    """Facts, equations, measurements and settings of a leader or a follower."""
    facts = leader_facts(name) if kind == "leader" else follower_facts(name)
    parts = [
        f"# {name}",
        f"**{first_line(kind, name)}.**",
        first_code(kind, name),
        facts,
        notes(kind, name),
        body(module_text(kind, name)),
        algorithm(name) if kind == "leader" else "",
        gradients(name) if kind == "leader" else "",
        settings(kind, name),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def algorithm(name: str) -> str:
    """The method of a leader that is its algorithm, as it stands in its file."""
    made = factory("leader", name)
    found = next(vars(made)[method] for method in ALGORITHMS if method in vars(made))
    code = inspect.cleandoc("\n" + inspect.getsource(found))
    path = Path(inspect.getsourcefile(made) or "").name
    return f"## The algorithm\n\nFrom `agents/leaders/{path}`:\n\n```py\n{code}\n```"


def page(kind: Kind, name: str) -> str:
    """The page of something registered."""
    return game_page(name) if kind == "game" else agent_page(kind, name)


def index(kind: Kind) -> str:
    """The list of a kind."""
    names = KINDS[kind]()
    if kind == "leader":
        names = sorted(names, key=lambda name: (sg.make_leader(name).division, name))
    head = "| id | class | |\n|---|---|---|" if kind == "leader" else "| id | |\n|---|---|"
    rows = []
    for name in names:
        middle = f" `{sg.make_leader(name).division.name}` |" if kind == "leader" else ""
        rows.append(f"| [`{name}`]({name}.md) |{middle} {first_line(kind, name)} |")
    listed = gallery(names) if kind == "game" else "\n".join([head, *rows])
    return f"# {kind.capitalize()}s\n\n{INTRODUCTIONS[kind]}\n\n{listed}\n"


def gallery(names: list[str]) -> str:
    """A card for each game, under what its leader does and what its states are."""
    parts = []
    for title, belongs in SHELVES.items():
        cards = [card(name) for name in names if belongs(sg.make(name))]
        parts += [f"## {title}", '<div class="gallery" markdown>', *cards, "</div>"] if cards else []
    return "\n\n".join(parts)


def card(name: str) -> str:
    """A picture of a game where there is one, its name and what it is."""
    picture = DOCS / "images" / "games" / f"{name}.png"
    shown = f"[![A frame of {name}](../images/games/{name}.png)]({name}.md)\n\n" if picture.exists() else ""
    told = f"[**{name}**]({name}.md)\n\n{first_line('game', name)}."
    return f'<div class="card" markdown>\n\n{shown}{told}\n\n</div>'


def pages() -> dict[str, str]:
    """All generated pages by path."""
    made = {f"{kind}s/index.md": index(kind) for kind in KINDS}
    made |= {f"{kind}s/{name}.md": page(kind, name) for kind, ids in KINDS.items() for name in ids()}
    return made


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the sections of the navigation, and drop pages that are not there."""
    assert config.nav is not None
    config.nav = [_section(entry) for entry in config.nav]
    return config


def _section(entry: Any) -> Any:
    if isinstance(entry, str):
        return entry
    ((title, content),) = entry.items()
    if isinstance(content, str) and content.endswith("/"):
        names = next(ids() for kind, ids in KINDS.items() if f"{kind}s/" == content)
        return {title: [f"{content}index.md", *({name: f"{content}{name}.md"} for name in names)]}
    if isinstance(content, list):
        return {title: [item for item in content if _written(item)]}
    return entry


def _written(item: Any) -> bool:
    """Whether a page exists."""
    file = item if isinstance(item, str) else next(iter(item.values()))
    return (DOCS / file).exists()


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files
