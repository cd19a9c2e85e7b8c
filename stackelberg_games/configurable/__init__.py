"""Games in which the leader configures the follower's decision process once, before it plays."""
