"""Running AlgoPerf submissions as they were written."""
