"""How each declaration is made on one machine."""
