"""The stacks of the platform itself; each service brings its own."""
