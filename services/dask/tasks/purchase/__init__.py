"""Will a customer buy within four weeks? Features, baselines, and how predictions are judged."""
