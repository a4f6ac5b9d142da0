"""Vectors of words without a model: hashed stems. Near vectors mean shared words, not shared meaning."""

from __future__ import annotations

import hashlib
import math
from collections import Counter

from mistral_agents.retrieval.analysis import COMMON, Analyzer


def embed(text: str, dimensions: int) -> list[float]:
    """A vector of length 1 (all zeros for a text without words): each stem adds to one place, with a sign."""
    vector = [0.0] * dimensions
    for term, count in Counter(Analyzer("english").terms(text)).items():
        if term.startswith(COMMON):
            continue
        digest = int.from_bytes(hashlib.blake2b(term.encode(), digest_size=8).digest(), "big")
        vector[(digest >> 1) % dimensions] += math.sqrt(count) * (1 if digest & 1 else -1)
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else vector
