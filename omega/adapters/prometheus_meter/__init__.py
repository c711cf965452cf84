"""Figures, kept by prometheus-client."""
