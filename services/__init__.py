"""One folder, one team, one image, one stack."""
