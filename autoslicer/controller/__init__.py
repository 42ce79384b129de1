"""The controller's process: the kopf shell, the batcher, the loop, the settings and the HTTP endpoints."""
