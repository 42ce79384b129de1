"""The custom resources: pydantic models, the CRDs generated from them, and the conditions in their status."""
