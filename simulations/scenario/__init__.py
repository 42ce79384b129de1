"""What is simulated: scenarios as YAML files, read with the line of every mistake."""
