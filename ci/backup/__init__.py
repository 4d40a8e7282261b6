"""Backup and restore of what an environment holds and nothing else can make again."""
