"""The torch backend: one process per rank, gloo on CPUs and nccl on GPUs."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np
import torch

from pacebench.backends import ranks_torch as ranks
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
from pacebench.backends.kinds import torch_kind
from pacebench.backends.losses_torch import compute_loss
from pacebench.backends.state_torch import restored, tree_of
from pacebench.plan import TrialPlan
from pacebench.plugins import resolve
from pacebench.seeds import Seed
from pacebench.spec import Advance, Batch, Decoding, Finished, LossValue


class TorchBackend:
    """A trial in torch; see `pacebench.backends.base.Backend` for what each method promises."""

    def __init__(self, binding: Binding) -> None:
        plan = binding.plan
        self.rank = binding.rank
        self.n_ranks = plan.n_devices
        self._plan = plan
        self._workload = binding.workload
        self._device = _open_device(plan, self.rank)
        ranks.join_ranks(self._device, self.n_ranks)
        self._seed = Seed(plan.seed)
        self._model = _build_model(binding, self._seed, self._device)
        self.run = self._make_run(binding)
        self._algorithm = binding.make_algorithm()
        self._seed_step(0)
        self._state = self._algorithm.init(self.run)
        self._numpy_batches = binding.open_batches(self.rank, self.n_ranks)
        self._batches = _on_device(self._numpy_batches, self._device)
        self._queued: deque[torch.cuda.Event] = deque()

    def step(self, step: int) -> bool:
        """Let the submission make a step; masks and other draws depend on seed, step and rank."""
        self.run.step = step
        self._seed_step(step)
        try:
            self._state = self._algorithm.step(self.run, self._state, self._batches)
        except Finished:
            return True
        if self._device.type == "cuda":
            self._bound_run_ahead()
        return False

    def prepare_eval(self) -> None:
        """Let the submission change its state for the coming evaluation."""
        if self._algorithm.prepare_eval is not None:
            self._state = self._algorithm.prepare_eval(self.run, self._state)

    @torch.no_grad()
    def eval_batch(self, batch: Batch) -> tuple[Any, LossValue]:
        """Give outputs and loss of a batch in numpy, with running averages and no dropout."""
        moved = to_device(batch, self._device)
        outputs = self.run.forward(moved, train=False)
        loss = self.run.loss(outputs, moved)
        host = LossValue(
            summed=to_numpy(loss.summed),
            n_valid_examples=to_numpy(loss.n_valid_examples),
            per_example=to_numpy(loss.per_example),
        )
        return to_numpy(kept_outputs(outputs, self._workload.eval_outputs)), host

    @torch.no_grad()
    def open_decoding(self, batch: Batch, decoding: Decoding) -> Advance:
        """Encode a batch and give the function that lets the model write."""
        cache = self._model.start(to_device(batch, self._device), decoding)
        positions = count()

        @torch.no_grad()
        def advance(parents_BK: Any, tokens_BK: Any) -> tuple[Any, Any]:
            nonlocal cache
            parents, tokens = (to_device(a, self._device).long() for a in (parents_BK, tokens_BK))
            logits_BKV, cache = self._model.advance(cache, parents, tokens, next(positions))
            n_best = min(2 * decoding.beam_size, logits_BKV.shape[-1])
            best = logits_BKV.float().log_softmax(-1).topk(n_best)
            return to_numpy(best.values), to_numpy(best.indices.int())

        return advance

    def wait(self) -> None:
        """Return when the device and every rank are here."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            self._queued.clear()
        ranks.wait_for_ranks()

    def max_over_ranks(self, value: float) -> float:
        """Give the largest value of all ranks."""
        return ranks.max_over_ranks(value, self._device)

    def agree(self, value: Any) -> Any:
        """Give rank 0's value."""
        return ranks.from_rank_0(value)

    def gather(self, value: Any) -> list[Any]:
        """Give all ranks' values in order."""
        return ranks.gather_over_ranks(value)

    def save_state(self) -> Any:
        """Give model, algorithm state and data position as a tree."""
        if self._algorithm.save is not None:
            state = self._algorithm.save(self.run, self._state)
        else:
            state = tree_of(self._state, "state")
        return {
            "model": tree_of(self._model.state_dict(), "model"),
            "state": state,
            "position": self._numpy_batches.position,
        }

    def load_state(self, tree: Any) -> None:
        """Take up what `save_state` gave."""
        self._model.load_state_dict(
            {k: torch.from_numpy(v.copy()) for k, v in tree["model"].items()}
        )
        if self._algorithm.restore is not None:
            self._state = self._algorithm.restore(self.run, self._state, tree["state"])
        else:
            self._state = restored(self._state, tree["state"])
        self._numpy_batches.position = tree["position"]

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether memory ran out, on the device or the host."""
        text = str(error)
        return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
            isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate" in text
        )

    def environment(self) -> dict[str, Any]:
        """Describe torch and its devices."""
        gpus = range(torch.cuda.device_count()) if self._device.type == "cuda" else ()
        return {
            "torch": str(torch.__version__),
            "cuda": torch.version.cuda,
            "gpus": [torch.cuda.get_device_name(i) for i in gpus],
            "torch_threads": torch.get_num_threads(),
        }

    def close(self) -> None:
        """Leave the other ranks."""
        ranks.leave_ranks()

    def _make_run(self, binding: Binding) -> Run:
        params = dict(self._model.named_parameters())
        outputs = binding.workload.output_parameters["torch"]
        parameters = parameter_view(params, torch_kind, outputs)
        return Run(
            **shared_fields(binding, lambda: self.run.step),
            device=self._device,
            n_ranks=self.n_ranks,
            parameters=parameters,
            params=params,
            kinds={name: p.kind for name, p in parameters.items()},
            model=self._model,
            model_state=None,
            forward=self._forward,
            loss=self._loss,
            all_reduce=ranks.sum_over_ranks,
        )

    def _forward(
        self,
        batch: Batch,
        *,
        train: bool = True,
        dropout_rate: float | None = None,
        normalize_with: Any = None,
        update_running: bool | None = None,
    ) -> Any:
        mode = model_mode(train, dropout_rate, normalize_with, update_running)
        return self._model(batch, mode)

    def _loss(self, outputs: Any, batch: Batch, label_smoothing: float = 0.0) -> LossValue:
        return compute_loss(
            self._workload.loss, batch["targets"], outputs, batch.get("weights"), label_smoothing
        )

    def _seed_step(self, step: int) -> None:
        seed = self._seed.child("step", step, self.rank).value
        torch.default_generator.manual_seed(seed)  # torch.manual_seed asks every kind of device
        if self._device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _bound_run_ahead(self) -> None:
        event = torch.cuda.Event()
        event.record()
        self._queued.append(event)
        if len(self._queued) > RUN_AHEAD_STEPS:
            self._queued.popleft().synchronize()


def open_backend(binding: Binding) -> TorchBackend:
    """Set a trial up in torch."""
    return TorchBackend(binding)


def to_device(value: Any, device: torch.device) -> Any:
    """Move a batch (dicts and tuples of numpy arrays) to a device as tensors."""
    if isinstance(value, Mapping):
        return {k: to_device(v, device) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(to_device(v, device) for v in value)
    if isinstance(value, torch.Tensor):
        return value.to(device)
    tensor = torch.from_numpy(np.ascontiguousarray(value))
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor


def to_numpy(value: Any) -> Any:
    """Bring tensors (in dicts and tuples) to numpy."""
    if isinstance(value, torch.Tensor):
        return (
            value.detach().float().cpu().numpy()
            if value.is_floating_point()
            else value.cpu().numpy()
        )
    if isinstance(value, Mapping):
        return {k: to_numpy(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return tuple(to_numpy(v) for v in value)
    return None if value is None else np.asarray(value)


def _on_device(batches: PositionedBatches, device: torch.device) -> Iterator[Batch]:
    for batch in batches:
        yield to_device(batch, device)


def _open_device(plan: TrialPlan, rank: int) -> torch.device:
    if plan.rules.matmul_precision == "highest":  # otherwise torch's own choice stands
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
    if plan.device == "gpu":
        device = torch.device("cuda", rank)
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True  # as AlgoPerf v0.6's pytorch_setup
        return device
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads:
        torch.set_num_threads(int(threads))
    return torch.device("cpu")


def _build_model(binding: Binding, seed: Seed, device: torch.device) -> torch.nn.Module:
    torch.manual_seed(seed.child("model").value)
    build = resolve(binding.workload.torch_model)
    model: torch.nn.Module = build(binding.workload.model_config).to(device)
    if binding.plan.is_compiled:
        model.compile()
    return model
