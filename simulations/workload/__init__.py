"""What a simulated cluster is asked for: traces of jobs, read, generated and written."""
