"""What others do: planners to compare with. They see the same problem and share no search with the solver."""
