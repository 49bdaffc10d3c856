"""`python -m pacebench.backends.probe_jax`: says as JSON what jax is and which GPUs it sees."""

import json

import flax
import jax
import jax.numpy as jnp
import optax

GPUS = [d.device_kind for d in jax.devices() if d.platform == "gpu"]
jnp.ones(2).sum().item()  # a device that is seen also works
VERSIONS = {"flax": flax.__version__, "optax": optax.__version__}
print(json.dumps({"version": jax.__version__, "cuda": None, "gpus": GPUS, **VERSIONS}))
