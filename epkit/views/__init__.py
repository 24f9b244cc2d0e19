"""Pictures of a cluster. Everything here reads through the API alone, so it works on any cluster."""
