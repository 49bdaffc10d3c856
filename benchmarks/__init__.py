"""Performance goals as ratios against a stated reference in the same run; never timed tests."""
