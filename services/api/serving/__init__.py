"""The API: events in, figures out."""
