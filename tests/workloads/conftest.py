"""What all tests of workloads share."""

from tests.strict_jax import no_rank_promotion

__all__ = ["no_rank_promotion"]
