"""How this installation is set up: settings read from the environment, URLs, server entry points."""
