"""Moves records into the log and signs it: what waits in the outbox becomes leaves, tiles and checkpoints."""
