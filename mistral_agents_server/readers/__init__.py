"""Readers of document formats: each makes text of one, as the usual program for it shows it."""

PAGE_BREAK = "\f"
"""Parts the pages in a reader's text."""


class UnreadableError(Exception):
    """A file holds no text that can be read here; the message says why."""
