"""What people decide: the inbox behind the screens. Hears `agents.engine.signals`; agents knows nothing of it."""
