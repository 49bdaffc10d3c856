"""The two frameworks behind one contract; neither is imported before a trial opens it."""

BACKENDS = {
    "torch": "pacebench.backends.torch_backend:open_backend",
    "jax": "pacebench.backends.jax_backend:open_backend",
}
