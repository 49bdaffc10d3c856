"""The jax backend: one process, data sharded over its local devices, parameters replicated."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from pacebench.backends.base import (
    RUN_AHEAD_STEPS,
    Binding,
    PositionedBatches,
    Run,
    kept_outputs,
    model_mode,
    parameter_view,
    shared_fields,
)
from pacebench.backends.kinds import flax_kind
from pacebench.backends.losses_jax import compute_loss
from pacebench.backends.state_jax import leaves_of, restored
from pacebench.errors import PlanError, SubmissionError
from pacebench.plan import TrialPlan
from pacebench.plugins import resolve
from pacebench.seeds import Seed
from pacebench.spec import Advance, Batch, Decoding, Finished, LossValue, Mode


class JaxRun(Run):
    """A run that gives a random key for every step."""

    def key(self) -> jax.Array:
        """Give the key of this step (legacy uint32[2]), a function of seed and step."""
        return _fold_in(jax.random.PRNGKey(self.seed.int31), np.uint32(self.step))


class JaxBackend:
    """A trial in jax; see `pacebench.backends.base.Backend` for what each method promises."""

    rank = 0
    n_ranks = 1

    def __init__(self, binding: Binding) -> None:
        plan = binding.plan
        self._plan = plan
        self._workload = binding.workload
        self._mesh = _open_devices(plan)
        self._replicated = NamedSharding(self._mesh, PartitionSpec())
        self._by_batch = NamedSharding(self._mesh, PartitionSpec("batch"))
        self._seed = Seed(plan.seed)
        self._model = resolve(binding.workload.flax_model)(binding.workload.model_config)
        self._eval = jax.jit(self._eval_outputs)
        self._start, self._advance = self._decoding_functions()
        self.run = self._make_run(binding)
        self._algorithm = binding.make_algorithm()
        self._state = self._algorithm.init(self.run)
        self._check_state()
        self._numpy_batches = binding.open_batches(0, 1)
        self._batches = self._on_devices(self._numpy_batches)
        self._queued: deque[jax.Array] = deque()

    def step(self, step: int) -> bool:
        """Let the submission make a step; run-ahead is bounded by waiting for an old one."""
        self.run.step = step
        try:
            self._state = self._algorithm.step(self.run, self._state, self._batches)
        except Finished:
            return True
        if step % RUN_AHEAD_STEPS == 1:  # a token at every step would cost more than it gives
            self._queued.append(_token(_smallest(self._state["params"])))
            if len(self._queued) > 1:
                self._queued.popleft().block_until_ready()
        return False

    def prepare_eval(self) -> None:
        """Let the submission change its state for the coming evaluation."""
        if self._algorithm.prepare_eval is not None:
            self._state = self._algorithm.prepare_eval(self.run, self._state)
            self._check_state()

    def eval_batch(self, batch: Batch) -> tuple[Any, LossValue]:
        """Give outputs and loss of a batch in numpy, with running averages and no dropout."""
        n_real = len(batch["weights"])
        padded = _pad_batch(batch, -n_real % self._mesh.size)
        moved = jax.device_put(padded, self._by_batch)
        outputs, loss = jax.device_get(
            self._eval(self._state["params"], self._state["model_state"], moved)
        )
        outputs, loss["per_example"] = jax.tree.map(
            lambda a: a[:n_real], (outputs, loss["per_example"])
        )
        return outputs, LossValue(**loss)

    def open_decoding(self, batch: Batch, decoding: Decoding) -> Advance:
        """Encode a batch and give the function that lets the model write."""
        n_real = len(batch["weights"])
        n_padding = -n_real % self._mesh.size
        variables = {"params": self._state["params"], **self._state["model_state"]}
        moved = jax.device_put(_pad_batch(batch, n_padding), self._by_batch)
        cache = self._start(variables, moved, decoding)
        positions = count()

        def advance(parents_BK: Any, tokens_BK: Any) -> tuple[Any, Any]:
            nonlocal cache
            chosen = jax.device_put(_pad_batch((parents_BK, tokens_BK), n_padding), self._by_batch)
            best, cache = self._advance(
                variables, cache, chosen, np.int32(next(positions)), decoding.beam_size
            )
            log_p_BKM, tokens_BKM = jax.device_get(best)
            return log_p_BKM[:n_real], tokens_BKM[:n_real]

        return advance

    def wait(self) -> None:
        """Return when the state is computed, and all else that is on the trial's devices."""
        others = [array for array in jax.live_arrays() if not array.is_deleted()]
        jax.block_until_ready((self._state, list(self._queued), others))
        self._queued.clear()

    def max_over_ranks(self, value: float) -> float:
        """Give the value: there is one process."""
        return value

    def agree(self, value: Any) -> Any:
        """Give the value: there is one process."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """Give the one value."""
        return [value]

    def save_state(self) -> Any:
        """Give algorithm state and data position as a tree."""
        if self._algorithm.save is not None:
            state = self._algorithm.save(self.run, self._state)
        else:
            state = leaves_of(self._state)
        return {"state": state, "position": self._numpy_batches.position}

    def load_state(self, tree: Any) -> None:
        """Take up what `save_state` gave, in the structure of the fresh state."""
        if self._algorithm.restore is not None:
            self._state = self._algorithm.restore(self.run, self._state, tree["state"])
        else:
            self._state = restored(self._state, tree["state"])
        self._numpy_batches.position = tree["position"]

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether memory ran out, on the device or the host."""
        is_jax = isinstance(error, jax.errors.JaxRuntimeError)
        return isinstance(error, MemoryError) or (is_jax and "RESOURCE_EXHAUSTED" in str(error))

    def environment(self) -> dict[str, Any]:
        """Describe jax and its devices."""
        devices = self._mesh.devices.flat
        return {
            "jax": jax.__version__,
            "platform": jax.default_backend(),
            "devices": [f"{d.platform}:{d.device_kind}" for d in devices],
        }

    def close(self) -> None:
        """Nothing to let go of: the process ends."""

    def _make_run(self, binding: Binding) -> Run:
        params, model_state = self._init_model(binding.example)
        by_path = {_path_text(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}
        outputs = binding.workload.output_parameters["jax"]
        parameters = parameter_view(by_path, flax_kind, outputs)
        return JaxRun(
            **shared_fields(binding, lambda: self.run.step),
            device=self._replicated,
            n_ranks=1,
            parameters=parameters,
            params=params,
            kinds=jax.tree.map_with_path(lambda p, _: parameters[_path_text(p)].kind, params),
            model=self._model,
            model_state=model_state,
            forward=self._forward,
            loss=self._loss,
            all_reduce=lambda x: x,
        )

    def _init_model(self, example: Batch) -> tuple[Any, Any]:
        """Draw the initial parameters and state, replicated over the devices."""
        mode = Mode(train=False, dropout_rate=0.0, normalize_with="running", update_running=False)
        key = jax.random.PRNGKey(self._seed.child("model").int31)
        init: Callable[..., Any] = jax.jit(self._model.init, static_argnames="mode")
        variables = dict(init(key, example, mode=mode))
        variables = jax.device_put(variables, self._replicated)
        return variables.pop("params"), variables

    def _forward(  # noqa: PLR0913 (a model call's switches, all by keyword)
        self,
        params: Any,
        model_state: Any,
        batch: Batch,
        *,
        key: Any = None,
        train: bool = True,
        dropout_rate: float | None = None,
        normalize_with: Any = None,
        update_running: bool | None = None,
    ) -> tuple[Any, Any]:
        mode = model_mode(train, dropout_rate, normalize_with, update_running)
        rngs = None if key is None else {"dropout": key}
        variables = {"params": params, **model_state}
        if not (mode.update_running and model_state):
            return self._model.apply(variables, batch, mode, rngs=rngs), model_state
        outputs, changed = self._model.apply(
            variables, batch, mode, rngs=rngs, mutable=list(model_state)
        )
        return outputs, dict(changed)

    def _loss(self, outputs: Any, batch: Batch, label_smoothing: float = 0.0) -> LossValue:
        return compute_loss(
            self._workload.loss, batch["targets"], outputs, batch.get("weights"), label_smoothing
        )

    def _eval_outputs(self, params: Any, model_state: Any, batch: Batch) -> tuple[Any, Any]:
        outputs, _ = self._forward(params, model_state, batch, train=False)
        loss = self._loss(outputs, batch)
        return kept_outputs(outputs, self._workload.eval_outputs), {
            "summed": loss.summed,
            "n_valid_examples": loss.n_valid_examples,
            "per_example": loss.per_example,
        }

    def _decoding_functions(self) -> tuple[Any, Any]:
        """Give the two compiled halves of a decoding; the caches are divided as the batch is."""

        def start(variables: Any, batch: Batch, decoding: Decoding) -> Any:
            return self._model.apply(variables, batch, decoding, method="start")

        def advance(variables: Any, cache: Any, chosen: Any, position: Any, n_beams: int) -> Any:
            logits_BKV, cache = self._model.apply(
                variables, cache, *chosen, position, method="advance"
            )
            log_p_BKV = jax.nn.log_softmax(logits_BKV.astype(jnp.float32))
            return jax.lax.top_k(log_p_BKV, min(2 * n_beams, log_p_BKV.shape[-1])), cache

        by_batch = self._by_batch
        return (
            jax.jit(start, static_argnums=2, out_shardings=by_batch),
            jax.jit(advance, static_argnums=4, donate_argnums=1, out_shardings=by_batch),
        )

    def _on_devices(self, batches: PositionedBatches) -> Iterator[Batch]:
        """Divide the batches over the devices.

        For one device they stay numpy's: a jitted function takes them in 5 µs, where
        `jax.device_put` needs 40 (measured with jax 0.10 on a CPU, batch of 1024 from mnist).
        """
        if self._mesh.size == 1:
            return batches
        return (jax.device_put(batch, self._by_batch) for batch in batches)

    def _check_state(self) -> None:
        if not isinstance(self._state, Mapping) or not {"params", "model_state"} <= set(
            self._state
        ):
            raise SubmissionError(
                "a level-2 jax submission's state must be a dict with 'params' and 'model_state', "
                "which are evaluated"
            )


def open_backend(binding: Binding) -> JaxBackend:
    """Set a trial up in jax."""
    return JaxBackend(binding)


def _open_devices(plan: TrialPlan) -> Mesh:
    """Choose the devices before jax starts them; raises PlanError if there are too few."""
    if plan.device == "cpu":
        jax.config.update("jax_platforms", "cpu")
        if plan.n_devices > 1:  # one is jax's own number, and a started jax refuses to be told
            jax.config.update("jax_num_cpu_devices", plan.n_devices)
    if plan.rules.matmul_precision == "highest":
        jax.config.update("jax_default_matmul_precision", "highest")
    devices = jax.local_devices()
    if len(devices) < plan.n_devices:
        raise PlanError(f"the plan asks for {plan.n_devices} devices, jax finds {len(devices)}")
    return Mesh(np.array(devices[: plan.n_devices]), ("batch",), axis_types=(AxisType.Auto,))


@partial(jax.jit, donate_argnums=())
def _fold_in(key: jax.Array, step: jax.Array) -> jax.Array:
    return jax.random.fold_in(key, step)


@jax.jit
def _token(leaf: jax.Array) -> jax.Array:
    """A small array that is ready when `leaf` is, and lives on when `leaf` is donated."""
    return leaf.reshape(-1)[:1]


def _smallest(params: Any) -> jax.Array:
    leaves: list[jax.Array] = jax.tree.leaves(params)
    return min(leaves, key=lambda leaf: leaf.size)


def _path_text(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _pad_batch(batch: Any, n_padding: int) -> Any:
    """Repeat the last example `n_padding` times, so that the batch divides over the devices."""
    if n_padding == 0:
        return batch
    return jax.tree.map(lambda a: np.concatenate([a, np.repeat(a[-1:], n_padding, 0)]), batch)
