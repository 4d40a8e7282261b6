"""Real parts for tests: each is started at most once a session, on a free port, and ended by its own process id."""
