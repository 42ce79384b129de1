"""What a MIG GPU can hold, and the best way to fill many of them; knows nothing of Kubernetes."""
