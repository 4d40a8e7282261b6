"""What a change touches: stacks, services, images and tests, each with its reason. Code is parsed, never imported."""
