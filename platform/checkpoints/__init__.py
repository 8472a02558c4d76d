"""Takes the logs' checkpoints out of the building: to witnesses, who cosign them, and by mail. Nobody waits for it."""
