"""Playing a commitment against a response: batches of trajectories, and films."""
