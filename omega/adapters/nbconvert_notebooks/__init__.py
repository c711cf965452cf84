"""Notebooks read by nbformat and turned into documents by nbconvert."""
