"""The dashboards: what marketing can click."""
