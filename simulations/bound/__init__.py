"""What no schedule can beat: clairvoyant lower bounds on how long pods wait."""
