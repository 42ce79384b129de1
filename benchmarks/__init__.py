"""Figures that the project claims, each with the command that measures it."""
