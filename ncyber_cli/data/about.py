"""What an NWB file says of its session and of its animal, in NWB's own words, for the files that results go to."""

from __future__ import annotations

import h5py

from ncyber_cli.data.columns import text, texts

START = "session_start_time"
SESSION = ("experimenter", "experiment_description", "institution", "lab", "keywords", "related_publications")
SUBJECT = ("age", "date_of_birth", "genotype", "sex", "species", "strain", "weight", "description")


def read_about(file: h5py.File) -> dict[str, list[str]]:
    """Texts by name, `subject/` before those of the animal; what is empty or no text is left out."""
    places = {START: START, **{name: f"general/{name}" for name in SESSION}}
    places |= {f"subject/{name}": f"general/subject/{name}" for name in SUBJECT}
    found = {name: _texts(file.get(place)) for name, place in places.items()}
    return {name: said for name, said in found.items() if said}


def _texts(item: h5py.Dataset | h5py.Group | None) -> list[str]:
    if not isinstance(item, h5py.Dataset) or item.ndim > 1 or h5py.check_string_dtype(item.dtype) is None:
        return []
    values = [text(item[()])] if item.ndim == 0 else texts(item[()])
    return [value for value in values if value]
