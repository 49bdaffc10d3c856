"""ImageNet's files: JPEGs of every kind, PNGs, and files that are cut off or no images."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pacebench.errors import DataError
from workloads.imagenet.crop import central_crop, decode

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "imagenet"


def picture(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A smooth picture that a JPEG keeps, different in every corner and colour."""
    y, x = np.mgrid[:height, :width]
    planes = [255 * x / width, 255 * y / height, 128 + 100 * np.sin(x / 9)]
    return np.stack(planes, -1).astype(np.uint8)


def file_of(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """The bytes of an image file."""
    file = io.BytesIO()
    image.save(file, format=kind, **({"quality": 95} if kind == "JPEG" else {}), **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("is_progressive", [False, True])
def test_jpegs_of_every_kind_become_rgb(mode, is_progressive):
    file = file_of(Image.fromarray(picture()).convert(mode), progressive=is_progressive)
    pixels = decode(file)
    assert pixels.shape == (48, 64, 3) and pixels.dtype == np.uint8
    wanted = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
    assert np.abs(pixels.astype(int) - wanted).max() <= 2


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_png_by_another_name_becomes_rgb(mode):
    image = Image.fromarray(picture()).convert(mode)
    np.testing.assert_array_equal(decode(file_of(image, "PNG")), image.convert("RGB"))


def test_a_camera_s_rotation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    assert decode(file_of(Image.fromarray(picture()), exif=exif)).shape == (48, 64, 3)


def with_thumbnail() -> bytes:
    """A JPEG with a whole JPEG in its header, as cameras write them."""
    small = b"Exif\0\0" + file_of(Image.fromarray(picture(8, 8)))
    file = file_of(Image.fromarray(picture()))
    return file[:2] + b"\xff\xe1" + (len(small) + 2).to_bytes(2, "big") + small + file[2:]


@pytest.mark.parametrize("kind", ["plain", "progressive", "thumbnail", "png"])
def test_a_file_that_is_cut_off_is_an_error(kind):
    image = Image.fromarray(picture())
    file = {
        "plain": file_of(image),
        "progressive": file_of(image, progressive=True),
        "thumbnail": with_thumbnail(),
        "png": file_of(image, "PNG"),
    }[kind]
    decode(file)
    for n_bytes in (3, 9, 100, len(file) // 2, len(file) * 9 // 10, len(file) - 2):
        with pytest.raises(DataError, match=r"cut off|begins with"):
            decode(file[:n_bytes])


def test_bytes_after_the_end_do_no_harm():
    file = with_thumbnail()
    np.testing.assert_array_equal(decode(file + b"\0\0made by a camera"), decode(file))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xff\xd8\xff\xd9",
        b"\x89PNG\r\n\x1a\nIEND\xaeB`\x82",
        b"<html>404 Not Found</html>",
        b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
        b"\xff\xd8" + b"\xff" * 50,
        bytes(1000),
    ],
)
def test_files_that_are_no_images_are_errors(data):
    with pytest.raises(DataError):
        decode(data)


def test_real_images_are_decoded_as_pillow_does():
    paths = sorted(REAL.rglob("*.jpg"))[:5]
    if not paths:
        pytest.skip(f"no images below {REAL}")
    for path in paths:
        pixels = decode(path.read_bytes())
        wanted = np.asarray(Image.open(path).convert("RGB"))
        assert np.abs(pixels.astype(int) - wanted).mean() < 0.5
        assert central_crop(pixels).shape == (224, 224, 3)
