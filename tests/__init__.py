"""Tests of pacebench, laid out as the tree they test."""
