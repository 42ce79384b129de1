"""End to end: the controller with its own rights, on the real control plane with the real mig-manager."""
