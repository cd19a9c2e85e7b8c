"""Followers, one algorithm a file."""
