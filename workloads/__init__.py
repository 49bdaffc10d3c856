"""The workloads: one folder per data set."""
