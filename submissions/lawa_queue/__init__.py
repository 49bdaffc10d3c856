"""Latest weight averaging over a queue of snapshots."""
