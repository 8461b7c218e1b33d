"""Objects kept on disk: SQLite files, signed with their owner's key."""
