"""Records and payloads in a MongoDB database: one URL, one client per process."""
