"""SGD with heavy-ball momentum."""
