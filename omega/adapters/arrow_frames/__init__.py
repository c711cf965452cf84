"""Frames as Arrow IPC streams in any blob store."""
