"""A local stand-in of Mistral's Agents, Conversations, Libraries and Files API, on SQLite."""
