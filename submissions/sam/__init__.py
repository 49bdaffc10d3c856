"""Sharpness-aware minimization around SGD."""
