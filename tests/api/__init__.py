"""The custom resources, against their own schemas and a real API server."""
