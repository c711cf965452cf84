"""Notebooks run by papermill, each in processes of its own."""
