"""What an answer holds: contents, sources, files, and the order in which it came about."""
