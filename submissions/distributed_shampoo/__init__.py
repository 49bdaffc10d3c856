"""Distributed Shampoo with grafting."""
