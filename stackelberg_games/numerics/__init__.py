"""Random streams, sampling, threads and files: what is needed everywhere and knows no game."""
