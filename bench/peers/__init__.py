"""Other servers of models, each in a virtual environment of its own, to measure beside omega."""
