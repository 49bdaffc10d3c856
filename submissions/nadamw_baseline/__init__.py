"""AlgoPerf's NadamW baseline."""
