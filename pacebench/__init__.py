"""pacebench runs one trial of a training algorithm fairly and writes down what happened."""

__version__ = "0.1.0"
