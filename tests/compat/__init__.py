"""Tests of pacebench.compat."""
