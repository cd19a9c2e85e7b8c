"""What a leader has learned of a game, in the form that fits the game; knows no algorithm."""
