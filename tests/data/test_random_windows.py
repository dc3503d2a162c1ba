"""Law: windows drawn at random hold what was recorded there, and never a bin of a validation or test window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from laws import fewer, seeds
from nwb_files import data_spec, spec_of

from ncyber_cli.data.prepare import prepare
from ncyber_cli.data.recording import TRAIN, NeuralStream, Recording, Session, SpikeTrains

TIMES_S = [np.sort(np.random.default_rng(unit).uniform(0, 100, 500)) for unit in range(6)]


def session(random: int, **split: Any) -> Session:
    data = data_spec(windows={"length_s": 2.0, "random": random}, split=split)
    trains = SpikeTrains(np.concatenate(TIMES_S), 500 * np.arange(1, 7))
    units = NeuralStream(trains, [str(unit) for unit in range(6)], ["M1"] * 6)
    return prepare(Recording("a", "a1", Path("a1.nwb"), "00", [units], {}, {}, None), spec_of(data))


@fewer
@given(seed=seeds, by=st.sampled_from(["trial", "block"]))
def test_drawn_windows_train_and_share_no_bin_with_the_others(seed: int, by: str) -> None:
    plain, drawn = session(0, seed=seed, by=by), session(3, seed=seed, by=by)
    n_plain = len(plain.trial_id)
    assert len(drawn.trial_id) > 2 * n_plain
    np.testing.assert_array_equal(drawn.observation[:n_plain], plain.observation)
    np.testing.assert_array_equal(drawn.split[:n_plain], plain.split)
    assert (drawn.split[n_plain:] == TRAIN).all()
    bins = np.round((drawn.time_s - plain.time_s[0, 0]) / drawn.bin_s)
    taken = bins[(drawn.split != TRAIN)[:, None] & drawn.mask]
    assert not np.isin(bins[n_plain:], taken).any()
    counts = dict(zip(bins[plain.mask.nonzero()], plain.observation[plain.mask], strict=True))
    for at, count in zip(bins[n_plain:].ravel(), drawn.observation[n_plain:].reshape(-1, 6), strict=True):
        np.testing.assert_array_equal(count, counts[at])


def test_the_same_seed_draws_the_same_windows() -> None:
    np.testing.assert_array_equal(session(2, seed=1).time_s, session(2, seed=1).time_s)
    assert not np.array_equal(session(2, seed=1).time_s, session(2, seed=2).time_s)
