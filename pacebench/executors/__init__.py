"""Ways to drain a plan of trials."""
