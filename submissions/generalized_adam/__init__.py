"""The family of Nesterov momentum with and without Adam's denominator."""
