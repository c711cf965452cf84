"""The clock, the randomness and the secret of this machine."""
