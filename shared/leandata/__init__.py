"""The shared library of the platform: what every service may import."""
