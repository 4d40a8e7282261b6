"""What stands in for a paid service, or for a customer, on one machine."""
