"""How a plan is made: nodes, places, the problem for the solver, and the solution in words of the cluster."""
