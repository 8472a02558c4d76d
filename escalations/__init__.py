"""What people decide: the inbox behind the screens. Subscribes to `agents.engine.signals`; agents knows nothing of it."""
