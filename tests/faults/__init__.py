"""Every write of the store, of checkpoints, tables and the report, failing or cut short by a kill, one by one.

    python -m tests.faults

Afterwards every file is as it was or as it was to be, the same call goes on to the same bits, and leaves nothing
else behind. A preloaded library (``shim.c``) counts what is written and lets one call fail; each trial is a fork.
"""
