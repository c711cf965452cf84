"""The three faces (REST, `om`, Python) and the composition root that ties them to adapters."""
