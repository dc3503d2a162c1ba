"""What an area is called where nobody says."""

from __future__ import annotations

DEFAULT_AREA = "brain"  # the spec names no area and does not ask the file
NO_AREA = "unknown"  # the file is asked and says nothing


def filled(areas: list[str]) -> list[str]:
    return [area or NO_AREA for area in areas]
