"""The world, behind the ports: one folder per technology, one file per port, no adapter knowing another."""
