"""The built-in submissions: one folder per algorithm."""
