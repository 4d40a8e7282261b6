"""Other people's scanners, each in an environment of its own, over what will exist and over what is written down."""
