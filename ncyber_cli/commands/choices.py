"""Choices that several commands offer."""

from __future__ import annotations

from enum import StrEnum


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Kept(StrEnum):
    """Which checkpoint of a run."""

    best = "best"
    last = "last"
