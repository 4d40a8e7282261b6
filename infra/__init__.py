"""Infrastructure: environments, what programs declare, and how it is made on each substrate."""
