"""Drift: what the world is against what was deployed and what the programs declare."""
