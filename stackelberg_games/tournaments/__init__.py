"""Tournaments: matches, storage, statistics, ratings and reports."""
