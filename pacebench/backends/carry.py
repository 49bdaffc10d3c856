"""Carrying weights between the frameworks, as numpy arrays, by a workload's layout.

A layout maps names of torch to paths of flax. An entry names either a module, whose tensors then
follow the table, or one tensor ("embed.weight" -> "embed/embedding"), where the table does not do;
an entry for a tensor wins.

| torch                | flax                      |                                              |
|----------------------|---------------------------|----------------------------------------------|
| weight, 1 axis       | scale                     | as it is (batch and layer norm)              |
| weight, 2 axes       | kernel                    | [out, in] -> [in, out] (dense layers)        |
| weight, 3 to 5 axes  | kernel                    | [out, in, …] -> […, in, out] (convolutions)  |
| weight, 3 to 5 axes  | ConvTranspose*/kernel     | [in, out, …] -> […, in, out], … turned round |
| bias                 | bias                      | as it is                                     |
| running_mean, _var   | batch_stats: mean, var    | as it is                                     |

Whatever an entry for a tensor calls "kernel" is turned round as the table says; under any other
name the array is carried as it is: embeddings, the weights of an LSTM. Where the two frameworks
give one tensor different axes (flax keeps attention heads apart, torch does not), `shapes` holds
the shape to arrive at. A transposed convolution is told by its module's name in flax
("ConvTranspose_0"); its kernel's pixels lie the other way round in the two frameworks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import PacebenchError

Array = NDArray[Any]
Shapes = Mapping[str, tuple[int, ...]]
# Nested dicts with arrays as leaves, as flax keeps its variables.
Tree = dict[str, Any]

_STATS = {"running_mean": "mean", "running_var": "var"}


def to_flax(
    torch_arrays: Mapping[str, Array], layout: Mapping[str, str], shapes: Shapes | None = None
) -> tuple[Tree, Tree]:
    """Give flax's trees (params, batch_stats) with copies of torch's arrays.

    `torch_arrays` is a state dict by torch's names; `shapes` holds, by flax path, shapes that
    differ. Raises PacebenchError for a tensor that the layout does not know.
    """
    params: Tree = {}
    batch_stats: Tree = {}
    for name, array in torch_arrays.items():
        path = _flax_path(name, array.ndim, layout)
        is_stats = name.rpartition(".")[2] in _STATS
        turned = _to_kernel(array, path) if _is_kernel(path) else array
        _put(batch_stats if is_stats else params, path, _shaped(turned, path, shapes))
    return params, batch_stats


def to_torch(
    params: Tree, batch_stats: Tree, layout: Mapping[str, str], shapes: Shapes | None = None
) -> dict[str, Array]:
    """Give torch's arrays by name with copies of those in flax's trees.

    `shapes` holds, by torch name, shapes that differ. Raises PacebenchError for a tensor that the
    layout does not know.
    """
    names = {path: name for name, path in layout.items()}
    arrays: dict[str, Array] = {}
    for tree in (params, batch_stats):
        for path, array in _leaves(tree, ""):
            name = _torch_name(path, names)
            shape = None if shapes is None else shapes.get(name)
            turned = _from_kernel(array, path, shape) if _is_kernel(path) else array
            arrays[name] = _shaped(turned, name, shapes)
    return arrays


def _flax_path(name: str, n_axes: int, layout: Mapping[str, str]) -> str:
    if name in layout:
        return layout[name]
    module, _, tensor = name.rpartition(".")
    leaves = {"weight": "scale" if n_axes == 1 else "kernel", "bias": "bias", **_STATS}
    if module not in layout or tensor not in leaves:
        raise _unknown(name, layout)
    return f"{layout[module]}/{leaves[tensor]}"


def _torch_name(path: str, names: Mapping[str, str]) -> str:
    if path in names:
        return names[path]
    module, _, leaf = path.rpartition("/")
    tensors = {"kernel": "weight", "scale": "weight", "bias": "bias"}
    tensors |= {leaf: tensor for tensor, leaf in _STATS.items()}
    if module not in names or leaf not in tensors:
        raise _unknown(path, names)
    return f"{names[module]}.{tensors[leaf]}"


def _unknown(name: str, entries: Mapping[str, str]) -> PacebenchError:
    return PacebenchError(
        f"the layout does not say where '{name}' goes; it has {len(entries)} entries, like "
        f"'{next(iter(entries), '')}': add one for its module, or for the tensor itself"
    )


def _is_kernel(path: str) -> bool:
    return path.rpartition("/")[2] == "kernel"


def _is_transposed_convolution(path: str) -> bool:
    modules = path.rpartition("/")[0]
    return modules.rpartition("/")[2].startswith("ConvTranspose")


def _to_kernel(weight: Array, path: str) -> Array:
    """Turn [out, in, …] into […, in, out]."""
    if _is_transposed_convolution(path):
        return np.moveaxis(np.flip(weight, tuple(range(2, weight.ndim))), (0, 1), (-2, -1))
    return np.moveaxis(weight, (0, 1), (-1, -2))


def _from_kernel(kernel: Array, path: str, shape: tuple[int, ...] | None) -> Array:
    """Turn […, in, out] into [out, in, …]; a kernel that becomes a matrix is flattened first."""
    if _is_transposed_convolution(path):
        return np.flip(np.moveaxis(kernel, (-2, -1), (0, 1)), tuple(range(2, kernel.ndim)))
    if shape is not None and len(shape) == 2:
        return kernel.reshape(shape[1], shape[0]).T
    return np.moveaxis(kernel, (-1, -2), (0, 1))


def _shaped(array: Array, name: str, shapes: Shapes | None) -> Array:
    """Give a contiguous copy, in the shape that `shapes` asks for."""
    shape = array.shape if shapes is None else shapes.get(name, array.shape)
    if np.prod(shape) != array.size:
        raise PacebenchError(f"'{name}' has shape {array.shape}, which does not fit {shape}")
    return np.array(array.reshape(shape), order="C")


def _put(tree: Tree, path: str, array: Array) -> None:
    *modules, leaf = path.split("/")
    for module in modules:
        tree = tree.setdefault(module, {})
    if leaf in tree:
        raise PacebenchError(f"two tensors go to '{path}'; the layout must tell them apart")
    tree[leaf] = array


def _leaves(tree: Mapping[str, Any], prefix: str) -> list[tuple[str, Array]]:
    found: list[tuple[str, Array]] = []
    for name, value in tree.items():
        path = f"{prefix}{name}"
        is_module = isinstance(value, Mapping)
        found += _leaves(value, f"{path}/") if is_module else [(path, np.asarray(value))]
    return found
