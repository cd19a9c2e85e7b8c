"""Commitments, critics and responses of networks, for games whose states are vectors."""
