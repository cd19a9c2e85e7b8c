"""An inspection game, a leader and a follower for stackelberg-games."""
