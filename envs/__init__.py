"""Games, one file each, named ``<game>_v<N>.py``."""
