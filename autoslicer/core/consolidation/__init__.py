"""Which nodes would be free if the running pods with slices were packed; nothing is done about it."""
