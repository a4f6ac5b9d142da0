"""What each call of the service takes and sends, and how lists and jobs are walked."""
