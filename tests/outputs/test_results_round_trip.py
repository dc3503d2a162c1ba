"""Law: what is written to a results file, and from it to NWB, is read again, whatever names, shapes and values."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from laws import fewer, names, seeds
from result_files import PROVENANCE

from ncyber_cli.data.recording import SPLIT_NAMES
from ncyber_cli.outputs.read_results import read_results, session_groups, texts
from ncyber_cli.outputs.results_hdf5 import ResultsWriter
from ncyber_cli.outputs.results_layout import Features, SessionHeader
from ncyber_cli.outputs.results_nwb import nwb_from_results

FLOATS = {"width": 32, "allow_infinity": False}


@st.composite
def headers(draw: st.DrawFn) -> SessionHeader:
    """A session of any names with one group of features; trials end where they like, before the next begins."""
    trials, bins, units = draw(st.integers(1, 5)), draw(st.integers(1, 6)), draw(st.integers(1, 3))
    lengths = np.array(draw(st.lists(st.integers(1, bins), min_size=trials, max_size=trials)))
    mask = np.arange(bins) < lengths[:, None]
    bin_s = draw(st.floats(0.001, 1))
    pauses_s = draw(st.lists(st.floats(0.1, 20), min_size=trials, max_size=trials))
    start_s = np.cumsum(bins * bin_s + np.array(pauses_s))
    unit_id = draw(st.lists(names, min_size=units, max_size=units, unique=True))
    return SessionHeader(
        animal=draw(names),
        session=draw(names),
        bin_s=bin_s,
        trial_id=draw(st.lists(names, min_size=trials, max_size=trials, unique=True)),
        split=np.array(draw(st.lists(st.integers(0, 2), min_size=trials, max_size=trials)), np.int8),
        event_s=start_s,
        unit_id=unit_id,
        unit_area=draw(st.lists(names, min_size=units, max_size=units)),
        held_out=np.array(draw(st.lists(st.booleans(), min_size=units, max_size=units))),
        time_s=np.where(mask, start_s[:, None] + bin_s * (np.arange(bins) + 0.5), np.nan),
        mask=mask,
        features={
            "rates": Features(unit_id, ["counts/bin"] * units),
            "latents": Features(["x"], ["a.u."], [draw(names)]),
        },
    )


def values(draw: st.DrawFn, header: SessionHeader) -> Any:
    """(trial, time, unit), and the order in which trials are written."""
    shape = (*header.mask.shape, len(header.unit_id))
    order = draw(st.permutations(range(shape[0])))
    return draw(arrays.arrays(np.float32, shape, elements=st.floats(**FLOATS))), np.array(order)


written = st.composite(lambda draw: (header := draw(headers()), *values(draw, header)))()


def write(path: Path, header: SessionHeader, mean: Any, order: Any) -> Path:
    with ResultsWriter(path, PROVENANCE.attributes()) as writer:
        writer.add_session(header)
        for trial in order:
            one = mean[trial : trial + 1]
            writer.write(header.animal, header.session, np.array([trial]), "rates", one, np.abs(one))
    return path


@fewer
@given(written)
def test_a_results_file(drawn: tuple[SessionHeader, Any, Any]) -> None:
    header, mean, order = drawn
    with (
        tempfile.TemporaryDirectory() as folder,
        read_results(write(Path(folder) / "r.h5", header, mean, order)) as file,
    ):
        (group,) = session_groups(file)
        assert {"animal": header.animal, "session": header.session, "bin_s": header.bin_s} == dict(group.attrs)
        assert texts(group["split"]) == [SPLIT_NAMES[part] for part in header.split]
        for name in ("trial_id", "unit_id", "unit_area"):
            assert texts(group[name]) == getattr(header, name)
        for name in ("held_out", "event_s", "time_s", "mask"):
            np.testing.assert_array_equal(group[name][:], getattr(header, name))
        assert texts(group["rates/names"]) == header.unit_id
        assert texts(group["latents/area"]) == header.features["latents"].area
        for name, expected in (("mean", mean), ("sd", np.abs(mean))):
            np.testing.assert_array_equal(group[f"rates/{name}"][:], np.where(header.mask[..., None], expected, np.nan))


@fewer
@given(written, seeds)
def test_an_nwb_file(drawn: tuple[SessionHeader, Any, Any], seed: int) -> None:
    """One row a bin of the mask, in the order of time; trials keep their ids."""
    header, mean, order = drawn
    header = replace(header, animal=f"a{seed}", session="s")
    with tempfile.TemporaryDirectory() as folder:
        results = write(Path(folder) / "r.h5", header, mean, order)
        (path,) = nwb_from_results(results, Path(folder) / "nwb")
        with h5py.File(path) as file:
            series = file["analysis/rates_mean"]
            np.testing.assert_array_equal(np.reshape(series["data"][()], mean[header.mask].shape), mean[header.mask])
