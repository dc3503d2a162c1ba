"""Law: what a file says of its session and its animal reaches the session on its bins, word for word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nwb_files import add_units, data_spec, empty_file, save, spec_of

from ncyber_cli.data.prepare import prepare
from ncyber_cli.data.read import read_recording


def test_notes_of_a_file(tmp_path: Path) -> None:
    nwb = empty_file()
    nwb.experimenter, nwb.keywords, nwb.institution = ["Curie, Marie", "Curie, Pierre"], ["reach"], ""
    add_units(nwb, [np.arange(1.0, 9.0)])
    data = data_spec()
    session = prepare(read_recording(save(nwb, tmp_path / "file.nwb"), data), spec_of(data))
    assert session.about == {
        "session_start_time": ["2026-01-01T00:00:00+00:00"],
        "experimenter": ["Curie, Marie", "Curie, Pierre"],
        "keywords": ["reach"],
        "subject/age": ["P1D"],
        "subject/sex": ["U"],
        "subject/species": ["Mus musculus"],
    }
