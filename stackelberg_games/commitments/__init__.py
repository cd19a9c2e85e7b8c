"""Decisions of a leader: tables, networks, linear-Gaussian policies, configurations; and their files."""
