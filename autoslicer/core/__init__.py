"""The functional core: from a snapshot to a plan and to actions, without I/O, clock, log or chance."""
