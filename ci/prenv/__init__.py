"""An environment for each pull request: made, found again by its tag, taken away with proof."""
