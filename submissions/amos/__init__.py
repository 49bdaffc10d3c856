"""Amos, an optimizer whose weight decay and step size fall by themselves."""
