"""What trusted code says on GitHub of what it was handed: comments, labels, statuses, issues."""
