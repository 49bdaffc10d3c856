"""Update rules that several submissions share, and that no library has; yours may use them too.

Each stands in a file of its framework. They are like a library's optimizers: they see parameters
and gradients, and nothing of the trial.
"""
