"""What a game, a commitment, a lever and a batch of play are; knows no particular game."""
