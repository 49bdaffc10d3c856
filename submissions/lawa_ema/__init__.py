"""Latest weight averaging by a moving average of snapshots."""
