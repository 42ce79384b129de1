"""The steps of one change of one node, from validation to its end or its way back."""
