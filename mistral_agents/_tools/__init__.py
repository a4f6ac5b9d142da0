"""Hosted tools: the guide's vocabulary translated, and what of it is enforced here."""
