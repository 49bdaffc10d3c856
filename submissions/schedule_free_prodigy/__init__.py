"""Schedule-Free averaging over Prodigy's step sizes."""
