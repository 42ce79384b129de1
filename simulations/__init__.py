"""A virtual cluster that obeys the same decisions as a real one."""
