"""Rules of fair play: what is found in a submission's source, and what shows when it runs.

`verdict` reads source and needs no framework; `probe` runs trials under observation. What is
allowed, what is not, and what neither can find is in docs/fair_play.md.
"""
