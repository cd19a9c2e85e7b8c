"""The same small run on hosts that are hostile in a way of their own: the same numbers, or a typed error.

    python -m tests.hosts [NAME-PART ...]

Quick start, resume, tournament and report, in a process each; a table of what came of it.
"""
