"""Leaders and followers, one algorithm a file."""
