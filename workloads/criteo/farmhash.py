"""FarmHash's Fingerprint64 of short strings, one by one and for many of 9 or 10 bytes at once.

It is what TensorFlow's `to_hash_bucket_fast` takes modulo the number of buckets. Source: Pike and
Alakuijala, FarmHash (github.com/google/farmhash), `farmhashna::Hash64`, strings of up to 16 bytes.

Letters: N strings. Arrays of uint64 wrap around, as the original does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 16
# The original's constants k0 and k2.
K0, K2 = 0xC3A5C85C97CB3127, 0x9AE16A3B2F90404F
_MASK = 2**64 - 1

Words = NDArray[np.uint64]


def fingerprint64(text: bytes) -> int:
    """Give the fingerprint of at most 16 bytes."""
    n = len(text)
    if n > MAX_BYTES:
        raise ValueError(f"{n} bytes; strings of up to {MAX_BYTES} are hashed here")
    if n == 0:
        return K2
    factor = (K2 + 2 * n) & _MASK
    if n >= 8:
        a = (int.from_bytes(text[:8], "little") + K2) & _MASK
        b = int.from_bytes(text[-8:], "little")
        c = (_rotated(b, 37) * factor + a) & _MASK
        d = ((_rotated(a, 25) + b) * factor) & _MASK
        return _joined(c, d, factor)
    if n >= 4:
        a = int.from_bytes(text[:4], "little")
        return _joined(n + (a << 3), int.from_bytes(text[-4:], "little"), factor)
    y = text[0] + (text[n >> 1] << 8)
    z = n + (text[-1] << 2)
    mixed = ((y * K2) ^ (z * K0)) & _MASK
    return ((mixed ^ (mixed >> 47)) * K2) & _MASK


def fingerprints64(words_N: Words, suffix: bytes) -> Words:
    """Give the fingerprints of strings of 8 bytes, each followed by one and the same suffix.

    `words_N` holds the 8 bytes as little-endian numbers; the suffix has at most 8 bytes.
    """
    n = 8 + len(suffix)
    factor = np.uint64((K2 + 2 * n) & _MASK)
    a_N = words_N + np.uint64(K2)
    n_bits = np.uint64(8 * len(suffix))
    end = int.from_bytes(suffix, "little") << (64 - 8 * len(suffix))
    b_N = (words_N >> n_bits) | np.uint64(end & _MASK)
    c_N = (b_N >> np.uint64(37)) | (b_N << np.uint64(27))
    c_N *= factor
    c_N += a_N
    d_N = (a_N >> np.uint64(25)) | (a_N << np.uint64(39))
    d_N += b_N
    d_N *= factor
    # As `_joined`, in place.
    c_N ^= d_N
    c_N *= factor
    c_N ^= c_N >> np.uint64(47)
    c_N ^= d_N
    c_N *= factor
    c_N ^= c_N >> np.uint64(47)
    c_N *= factor
    return c_N


def _rotated(value: int, n_bits: int) -> int:
    return ((value >> n_bits) | (value << (64 - n_bits))) & _MASK


def _joined(u: int, v: int, factor: int) -> int:
    a = ((u ^ v) * factor) & _MASK
    a ^= a >> 47
    b = ((v ^ a) * factor) & _MASK
    b ^= b >> 47
    return (b * factor) & _MASK
