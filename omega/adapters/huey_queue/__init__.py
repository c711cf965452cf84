"""A queue of messages in memory, SQLite, Redis or PostgreSQL, by huey."""
