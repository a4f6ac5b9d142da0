"""What a conversation does between two turns: functions, locks, archives, branches."""
