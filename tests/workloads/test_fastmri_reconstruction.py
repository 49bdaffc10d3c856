"""fastmri: which columns are kept, and how a slice becomes an example."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workloads.fastmri_files import slow_example
from workloads.fastmri import masks
from workloads.fastmri.reconstruction import moments, normalize, reconstruct, to_hybrid

SPEC = Path(__file__).parents[2].parent / "shared" / "spec"


def from_spec(name: str) -> Any:
    """Read a file of AlgoPerf's constants or values; they lie beside the repository."""
    if not (SPEC / name).is_file():
        pytest.skip(f"{SPEC / name} is not there: AlgoPerf's values are kept beside the repo")
    return json.loads((SPEC / name).read_text())


def test_evaluation_draws_tensorflows_numbers() -> None:
    # fastmri_eval_mask_uniforms.json, the first four of 512.
    first = [0.2110154628753662, 0.7060099840164185, 0.8000633716583252, 0.7707922458648682]
    found = np.array(list(islice(masks._uniforms(0, 0), 512)), np.float32)
    assert np.array_equal(found[:4], np.array(first, np.float32))
    wanted = from_spec("fastmri_eval_mask_uniforms.json")["uniform_first_512"]
    assert np.array_equal(found, np.array(wanted, np.float32))


def test_eight_percent_of_the_columns_in_the_middle_are_kept() -> None:
    # facts_vision.md section 4.2: 0.08 · width, truncated; the start is (width - n + 1) // 2.
    assert [masks.n_low_frequencies(width) for width in (320, 350, 368, 372)] == [25, 28, 29, 29]
    kept = masks.kept_columns(np.ones(368, np.float32))
    assert np.flatnonzero(kept).tolist() == list(range(170, 199))
    wanted = from_spec("fastmri_eval_mask_uniforms.json")["num_low_frequencies_by_width"]
    assert {int(w): n for w, n in wanted.items()} == {
        int(w): masks.n_low_frequencies(int(w)) for w in wanted
    }


def test_one_column_of_four_is_kept() -> None:
    generator = np.random.default_rng(0)
    shares = [masks.kept_columns(generator.random(368)).mean() for _ in range(400)]
    # Of 339 columns each is kept with 63/339: a share's deviation is about 0.02.
    assert np.mean(shares) == pytest.approx(0.25, abs=5 * 0.02 / 20)


@pytest.mark.parametrize(("n_rows", "width", "n_side"), [(32, 20, 16), (34, 24, 18), (16, 16, 16)])
def test_an_example_is_what_the_plain_reference_computes(
    n_rows: int, width: int, n_side: int
) -> None:
    generator = np.random.default_rng(n_rows)
    for _ in range(70):
        shape = (n_rows, width)
        kspace = (generator.normal(size=shape) + 1j * generator.normal(size=shape)).astype("c8")
        target = 9 * generator.random((n_side, n_side)) ** 9
        kept = generator.random(width) < 0.5
        wanted = slow_example(kspace, target, kept)
        image = reconstruct(to_hybrid(kspace, n_side), kept)
        mean, std = moments(image)
        assert (mean, std) == pytest.approx(wanted[2:], rel=1e-5)
        for found, expected in zip((image, target.astype(np.float32)), wanted[:2], strict=True):
            out = np.empty_like(found)
            normalize(found, mean, std, out)
            assert np.abs(out - expected).max() < 1e-4


def test_an_example_of_full_size_is_algoperfs() -> None:
    wanted = from_spec("golden/golden_vision.json")["fastmri_preprocess"]
    kept = masks.evaluation_columns(368)
    assert np.flatnonzero(kept).tolist() == wanted["mask_columns"]
    i = np.arange(640 * 368)
    kspace = np.sin(0.01 * i) + 1j * np.cos(0.0137 * i) * np.sin(0.5 * i)
    image = reconstruct(to_hybrid(kspace.astype(np.complex64).reshape(640, 368), 320), kept)
    mean, std = moments(image)
    inputs = np.empty_like(image)
    normalize(image, mean, std, inputs)
    assert (mean, std) == pytest.approx((wanted["mean"], wanted["std"]), rel=1e-5)
    np.testing.assert_allclose(inputs.ravel()[:8], wanted["inputs_first8"], atol=1e-5)
    np.testing.assert_allclose(inputs[160, 160:164], wanted["inputs[160,160:164]"], atol=1e-5)
    assert inputs.sum(dtype=np.float64) == pytest.approx(wanted["inputs_sum"], abs=1e-2)
    target = (0.5 + 0.5 * np.sin(0.02 * np.arange(320 * 320))).astype(np.float32)
    targets = np.empty_like(image)
    normalize(target.reshape(320, 320), mean, std, targets)
    np.testing.assert_allclose(targets.ravel()[:4], wanted["targets_first4"], rtol=1e-5)
    assert targets.sum(dtype=np.float64) == pytest.approx(wanted["targets_sum"], rel=1e-6)
