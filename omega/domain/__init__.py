"""What omega means: names, versions, frames, datasets, models.

Pure: it reaches the world only through ports.
"""
