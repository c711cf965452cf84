"""Records in one SQLite file and payloads in a directory: everything on the local disk, no server."""
