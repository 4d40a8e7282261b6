"""The pages: each file here that has a `page` is one. See dashboards/page.py."""
