"""Scripts in processes of their own, watched through /proc (Linux)."""
