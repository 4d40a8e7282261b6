"""A mail server that keeps every mail as a file and shows it in the browser."""
