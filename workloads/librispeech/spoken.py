"""A spoken language of its own: twenty letters, two hundred words, and voices that say them.

Each letter is a buzz of 50 to 90 ms whose loudest overtones lie at two places of its own, as vowels
have (their formants). Voices differ in pitch, in the length of their throat (which moves both
places together), in speed and in the noise around them. Nothing is copied from a recording.

Letters: N samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from workloads.librispeech.sets import SAMPLE_RATE

LETTERS = "ABDEFGHIKLMNOPRSTUVY"
# Ours: hertz, far enough apart to be told from each other whoever speaks.
LOW_PLACES = (260.0, 380.0, 550.0, 800.0)
HIGH_PLACES = (1100.0, 1500.0, 2050.0, 2800.0, 3800.0)
N_WORDS = 200
WORD_LENGTHS = (2, 3, 4)
UTTERANCE_LENGTHS = (2, 3)
"""How many words are said at once."""
_BANDWIDTH = 90.0
"""Hertz from a place to where an overtone has half its loudness."""
_RAMP_SECONDS = 0.012
_LOUDNESS = 400.0
"""Of 16-bit samples, root mean square while a letter sounds: features are normalised with
LibriSpeech's mean, and with this loudness theirs is near 0 (0.1; 1.4 with ten times as much)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Voice:
    """Who speaks."""

    pitch: float
    """Hertz."""
    throat: float
    """Factor on the places of the overtones."""
    letter_seconds: float
    noise: float
    """Root mean square of the noise as a share of the voice's."""


def vocabulary() -> list[str]:
    """Give the words, the commonest first; no letter comes twice in a row."""
    rng = np.random.default_rng(0)
    words: dict[str, None] = {}
    while len(words) < N_WORDS:
        length = int(rng.choice(WORD_LENGTHS))
        word = "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=length))
        if all(a != b for a, b in pairwise(word)):
            words[word] = None
    return list(words)


def sentence(words: Sequence[str], rng: np.random.Generator) -> str:
    """Give a few words; the n-th commonest is drawn with a weight of 1 / (n + 20)."""
    weights = 1 / (np.arange(len(words)) + 20)
    chosen = rng.choice(
        len(words), size=int(rng.choice(UTTERANCE_LENGTHS)), p=weights / weights.sum()
    )
    return " ".join(words[i] for i in chosen)


def voice(rng: np.random.Generator) -> Voice:
    """Draw a speaker."""
    return Voice(
        pitch=float(rng.uniform(90, 220)),
        throat=float(rng.uniform(0.90, 1.11)),
        letter_seconds=float(rng.uniform(0.055, 0.08)),
        noise=float(rng.uniform(0.12, 0.5)),
    )


def speak(text: str, who: Voice, rng: np.random.Generator) -> NDArray[np.int16]:
    """Give the samples [N] in which a voice says a sentence."""
    parts = [_silence(0.06, 0.1, rng)]
    for word in text.split():
        parts += [_letter(letter, who, rng) for letter in word]
        parts.append(_silence(0.03, 0.05, rng))
    parts.append(_silence(0.1, 0.14, rng))
    samples_N = np.concatenate(parts) * rng.uniform(0.6, 1.4)
    samples_N += rng.normal(0, who.noise * _LOUDNESS, len(samples_N))
    return np.clip(np.rint(samples_N), -32768, 32767).astype(np.int16)


def _letter(letter: str, who: Voice, rng: np.random.Generator) -> NDArray[np.float64]:
    """Give one letter: overtones of the pitch, loud near the letter's two places."""
    n_samples = int(who.letter_seconds * rng.uniform(0.9, 1.1) * SAMPLE_RATE)
    low, high = divmod(LETTERS.index(letter), len(HIGH_PLACES))
    places = np.array([LOW_PLACES[low], HIGH_PLACES[high]]) * who.throat * rng.uniform(0.98, 1.02)
    pitch = who.pitch * rng.uniform(0.95, 1.05) * np.linspace(1.03, 0.97, n_samples)
    overtone = turn = np.exp(2j * np.pi * (np.cumsum(pitch) / SAMPLE_RATE + rng.uniform()))
    wave = np.zeros(n_samples)
    for n in range(1, int(5_000 / who.pitch) + 1):
        loudness = (1 / (1 + ((n * who.pitch - places) / _BANDWIDTH) ** 2)).sum() + 0.01
        wave += loudness * overtone.imag
        overtone = overtone * turn
    ramp = np.minimum(1, np.arange(1, n_samples + 1) / (_RAMP_SECONDS * SAMPLE_RATE))
    loud: NDArray[np.float64] = wave * ramp * ramp[::-1]
    return loud * (_LOUDNESS / np.sqrt((loud**2).mean()))


def _silence(least: float, most: float, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.zeros(int(rng.uniform(least, most) * SAMPLE_RATE))
