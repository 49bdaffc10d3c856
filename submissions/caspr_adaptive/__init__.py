"""CASPR with NadamW's step size."""
