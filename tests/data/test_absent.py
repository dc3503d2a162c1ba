"""Law: behaviour that a file lacks and others have is missing there, in the columns of the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nwb_files import add_position, add_units, data_spec, empty_file, save, spec_of

from ncyber_cli.data.prepare import prepare_all
from ncyber_cli.data.read import read_recording
from ncyber_cli.errors import DataError

DATA = data_spec(behavior={name: {"source": name} for name in ("pupil", "position")})
BODY = {"controller": {"kind": "setpoint"}, "body": {"kind": "point_mass"}}
SPEC = spec_of(DATA, **BODY)


def nwb(path: Path, *signals: str) -> Path:
    made = empty_file(session_id=path.stem)
    add_units(made, [np.arange(0.01, 10, 0.1)])
    for signal in signals:
        add_position(made, np.random.default_rng(len(path.stem)).normal(size=(1000, 2)), signal)
    return save(made, path)


def test_columns_come_from_the_sessions_that_have_them(tmp_path: Path) -> None:
    paths = [
        nwb(tmp_path / "one.nwb", "pupil"),
        nwb(tmp_path / "three.nwb", "position", "pupil"),
        nwb(tmp_path / "seven.nwb"),
    ]
    pupil, whole, none = prepare_all([read_recording(path, DATA) for path in paths], SPEC)
    names = [f"{name}_{i}" for name in ("position", "velocity", "pupil") for i in (0, 1)]
    assert [session.body_names for session in (pupil, whole, none)] == [names] * 3
    assert np.isnan(none.body[none.mask]).all()
    assert np.isnan(pupil.body[pupil.mask][:, :4]).all()
    assert np.isfinite(pupil.body[pupil.mask][:, 4:]).all()
    assert np.isfinite(whole.body[whole.mask][1:]).all()  # no velocity at the very start
    assert list(pupil.absent) == ["behavior.position"]


def test_what_no_file_has_is_refused(tmp_path: Path) -> None:
    paths = [nwb(tmp_path / "one.nwb", "position"), nwb(tmp_path / "three.nwb", "position")]
    with pytest.raises(DataError, match=r"no file has it: one.nwb: there is no series 'pupil'"):
        prepare_all([read_recording(path, DATA) for path in paths], SPEC)
