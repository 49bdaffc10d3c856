"""Tests of the rules of fair play."""
