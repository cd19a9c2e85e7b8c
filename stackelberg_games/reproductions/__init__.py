"""Published experiments as data files, and what runs them at their own settings or a fraction of their length.

A file ``<name>.toml`` in this folder is an experiment: its settings, the leaders, and the published
values with how they were read. ``reproduce`` runs one; the code knows none by name.
"""

from stackelberg_games.reproductions.figure import save
from stackelberg_games.reproductions.reproduction import Reproduction, reproduce
from stackelberg_games.reproductions.study import Study, load, names

__all__ = ["Reproduction", "Study", "load", "names", "reproduce", "save"]
