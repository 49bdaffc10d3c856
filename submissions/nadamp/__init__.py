"""NadamW with a p-th root."""
