"""The manifests, as the API server and its admission see them."""
