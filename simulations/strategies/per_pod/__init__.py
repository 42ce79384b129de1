"""Systems that create GPU instances for each pod and destroy them after it, beside those in use."""
