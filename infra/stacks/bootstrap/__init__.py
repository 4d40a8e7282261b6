"""What must be in an account before anything can be deployed into it."""
