"""What a change will do to an environment, shown before anyone approves it."""
