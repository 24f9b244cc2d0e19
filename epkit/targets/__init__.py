"""Where a cluster comes from."""
