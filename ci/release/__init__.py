"""What is deployed is what was previewed, and what was deployed is known: plans, releases, the way back."""
