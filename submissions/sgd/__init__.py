"""SGD without momentum."""
