"""What the parts are on AWS."""
