"""NadamW's points, one after another in a single trial."""
