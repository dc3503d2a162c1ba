"""Random damage to a file's bytes: what a bad disk, a broken copy or a killed writer leaves."""

from __future__ import annotations

import numpy as np

_MOST_FLIPPED = 64
_LONGEST_BLOCK = 4096


def damaged(content: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """The content with 1 - 64 bytes changed, a block zeroed, or its end cut off; and which of them."""
    kind = str(rng.choice(["bytes", "bits", "zeros", "cut"], p=[0.35, 0.35, 0.15, 0.15]))
    spoilt, size = np.frombuffer(content, np.uint8).copy(), len(content)
    if kind == "cut":
        left = int(rng.integers(size))
        return content[:left], f"cut to {left} of {size} bytes"
    if kind == "zeros":
        start = int(rng.integers(size))
        stop = start + int(rng.integers(1, min(_LONGEST_BLOCK, max(2, size // 10))))
        spoilt[start:stop] = 0
        return spoilt.tobytes(), f"zeros from {start} to {min(stop, size)}"
    most = min(_MOST_FLIPPED, max(1, size // 50))
    places = rng.integers(size, size=int(2 ** rng.uniform(0, np.log2(most))))
    if kind == "bytes":
        spoilt[places] = rng.integers(256, size=len(places))
    else:
        spoilt[places] ^= (1 << rng.integers(8, size=len(places))).astype(np.uint8)
    return spoilt.tobytes(), f"{kind} at {sorted(places.tolist())[:8]}"


def misspelt(content: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """A text with one to three letters exchanged for others."""
    spoilt = bytearray(content)
    places = sorted(int(place) for place in rng.integers(len(content), size=int(rng.integers(1, 4))))
    for place in places:
        spoilt[place] = int(rng.choice(np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyz -.:,\n[]{}", np.uint8)))
    return bytes(spoilt), f"letters at {places}"
