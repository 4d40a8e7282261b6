"""What people and pipelines call: `python -m ci VERB`. It reads everything; nobody imports it."""
