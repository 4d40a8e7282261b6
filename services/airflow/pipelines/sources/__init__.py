"""Sources: each is a declaration of a few lines, and is collected into the lake by what its kind knows how to do."""
