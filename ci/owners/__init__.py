"""Who owns what, who signs a risk, and whether they did: one file of teams, and each service's manifest."""
