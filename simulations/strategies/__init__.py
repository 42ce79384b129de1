"""What may react to the demand in a virtual cluster: autoslicer, others, or nothing."""
