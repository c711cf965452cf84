"""Stores in the memory of one process, gone when it ends: for tests and for trying things out."""
