"""The store of request records and of what became of them: SQLite, or PostgreSQL by a URL."""
