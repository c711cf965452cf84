"""Keys as records."""
