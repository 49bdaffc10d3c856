"""NadamW with a cyclic learning rate."""
