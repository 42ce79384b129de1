"""The history of a run, kept in bounded memory for whoever wants to see it."""
