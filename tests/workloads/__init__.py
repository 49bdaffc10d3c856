"""Tests of the workloads and of what their models are built from."""
