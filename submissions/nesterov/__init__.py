"""SGD with Nesterov momentum."""
