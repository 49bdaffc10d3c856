"""Adadelta."""
