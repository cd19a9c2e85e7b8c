"""``python -m stackelberg_games`` is the command ``stackelberg``."""

from stackelberg_games.cli import main

if __name__ == "__main__":
    main()
