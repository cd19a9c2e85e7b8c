"""Games given by arrays, by batched functions or by matrices, and those that a leader configures."""
