"""The real test cluster."""
