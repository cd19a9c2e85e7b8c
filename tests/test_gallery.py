"""The page of all games: a card for each, with its picture."""

from __future__ import annotations

import re

import stackelberg_games as sg
from tests.test_docs import _hook

HOOK = _hook("agents_and_games")


def test_the_gallery_has_a_card_for_every_game() -> None:
    page = HOOK.pages()["games/index.md"]
    assert re.findall(r"^\[\*\*(.*?)\*\*\]\((.*?)\.md\)$", page, re.MULTILINE) == [
        (name, name) for name in re.findall(r"^\[!\[A frame of (.*?)\]", page, re.MULTILINE)
    ]
    assert sorted(re.findall(r"^\[\*\*(.*?)\*\*\]", page, re.MULTILINE)) == sg.games()
    assert all(f"{HOOK.first_line('game', name)}." in page for name in sg.games())
