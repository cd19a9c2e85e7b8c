"""Leaders, one algorithm a file."""
