"""Adam with moments of 8 bits."""
