"""The functional core: from a snapshot of the cluster to a plan and to actions, without I/O, clock, log or chance."""
