"""The command line `om`: a file per command group, on the same verbs as HTTP and Python."""
