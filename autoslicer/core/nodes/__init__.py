"""What is known of a node: its layout, what is idle, who else owns it, and what was found wrong with it."""
