"""Tasks for the compute cluster: called by name, so that no service imports another."""
