"""Running AlgoPerf's five-function submissions as they were written, without AlgoPerf installed.

All of AlgoPerf's names live in this folder. `spec`, `pytorch_utils` and `jax_sharding_utils` are
what a submission imports under AlgoPerf's package names; `foreign` puts them there, inside a
submission's process only; `session` calls the five functions; the two adapters make of them an
algorithm of a backend; `probe` asks a submission for its batch sizes in a process of its own.
"""
