"""Laws of the converter: the sliding sum is undone, trials are cut by the stated rules, each is tested once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from directions import circular_correlation, direction_scores, error_deg
from monkey_nwb import (
    BINS_OF,
    FOLDS,
    chewie_reaches,
    convert,
    folds,
    from_rest,
    mihi_reaches,
    undo_mean_of_two,
    undo_sliding_sum,
)
from scipy.io import loadmat

from ncyber_cli.pipeline.sessions import read_sessions
from ncyber_cli.spec import Spec

ROOT = Path(os.environ.get("NCYBER_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(scope="module")
def source() -> Path:
    folder = ROOT / "monkey_center_out"
    if not folder.is_dir():
        pytest.skip(f"no monkey_center_out in {ROOT}: set NCYBER_REAL_DATA to a folder that holds it")
    return folder


@pytest.mark.parametrize("window", [2, 8])
def test_a_sliding_sum_is_undone_where_spikes_are_rare_and_summed_again_everywhere(window: int) -> None:
    counts = np.random.default_rng(0).poisson(0.1, size=(40, 30))
    sums = np.lib.stride_tricks.sliding_window_view(counts, window, axis=0).sum(-1)
    found = undo_sliding_sum(sums, window)
    assert found.shape == counts.shape
    assert found.min() >= 0
    again = np.lib.stride_tricks.sliding_window_view(found, window, axis=0).sum(-1)
    np.testing.assert_array_equal(again, sums)
    assert (found == counts).all(0).mean() > 0.9


def test_means_of_two_are_undone_up_to_what_is_rough() -> None:
    time = np.linspace(0, 1, 9)[:, None]
    smooth = np.concatenate([np.sin(np.pi * time), time**2], axis=1)
    found = undo_mean_of_two(0.5 * (smooth[1:] + smooth[:-1]))
    np.testing.assert_allclose(found, smooth, atol=0.02)
    np.testing.assert_allclose(found[1:] + found[:-1], smooth[1:] + smooth[:-1])


def test_a_path_from_rest_keeps_the_means_of_its_steps() -> None:
    means = np.array([[0.1, 0.0], [0.3, -0.1], [0.2, -0.2], [0.0, 0.0]])
    found = from_rest(means, 10)
    np.testing.assert_allclose(found.reshape(4, 10, 2).mean(1), means, atol=1e-12)
    assert np.abs(found[0]).max() < 0.1 * np.abs(found).max()


def test_every_trial_is_tested_once_and_targets_are_shared_out() -> None:
    target = np.repeat([3, 4, 5, 7], [30, 21, 25, 24])
    parts = folds(target)
    tested = np.stack([parts[f"fold_{fold}"] == "test" for fold in range(FOLDS)])
    assert (tested.sum(0) == 1).all()
    for fold in range(FOLDS):
        found = parts[f"fold_{fold}"]
        assert [int((found == word).sum()) for word in ("train", "validation", "test")] == [70, 10, 20]
        for one in (3, 4, 5, 7):
            assert 0.1 <= (found[target == one] == "test").mean() <= 0.3


@pytest.mark.real
def test_trials_are_what_the_arrays_hold(source: Path) -> None:
    chewie, mihi = (loadmat(source / f"{name}_demo.mat") for name in ("chewie", "mihi"))
    for part, number in (("tr", 38), ("te", 58)):
        reaches = chewie_reaches(chewie, part)
        assert len(reaches) == number
        assert all(len(reach.counts) == len(reach.velocity) == 31 for reach in reaches)
    for part, number in (("tr", 74), ("te", 102)):
        reaches = mihi_reaches(mihi, part)
        assert len(reaches) == number
        assert {len(reach.counts) for reach in reaches} <= set(range(7, 14))
        for reach in reaches:
            speed = np.linalg.norm(reach.velocity, axis=1)
            assert max(speed[0], speed[-1]) < speed[:40].max()


@pytest.mark.real
def test_the_files_are_read_back_on_their_bins(source: Path, tmp_path: Path) -> None:
    for animal, paths in convert(source, tmp_path).items():
        data = {
            "bin_s": BINS_OF[animal],
            "trials": {"table": "trials", "align": "start_time"},
            "neural": [{"source": "units", "kind": "spikes", "area": "from_electrodes"}],
            "behavior": {
                "position": {"source": "hand_pos", "unit": "m"},
                "velocity": {"source": "hand_vel", "unit": "m/s"},
            },
            "split": {"column": "fold_0"},
        }
        for session in read_sessions(Spec.model_validate({"version": 1, "data": data}), paths):
            assert session.animal == animal
            assert not np.isnan(session.body[session.mask]).any()
            moved = np.linalg.norm(session.body[..., :2], axis=-1)
            assert (
                0.01 < np.median([trial[inside][-1] for trial, inside in zip(moved, session.mask, strict=True)]) < 0.12
            )


def test_scores_of_directions_know_good_from_chance() -> None:
    generator = np.random.default_rng(0)
    truth = generator.choice(np.deg2rad([-135, -45, 45, 135]), 200)
    good, chance = truth + generator.normal(0, 0.2, 200), generator.uniform(-np.pi, np.pi, 200)
    np.testing.assert_allclose(error_deg(np.deg2rad([170.0, 0.0]), np.deg2rad([-170.0, 350.0])), [20, 10])
    assert circular_correlation(truth, good) > 0.9
    assert abs(circular_correlation(truth, chance)) < 0.2
    found, guessed = direction_scores(truth, good, generator), direction_scores(truth, chance, generator)
    assert found["shuffles_as_good"] == 0.0
    assert found["nearest_target_right"] > 0.95
    assert guessed["shuffles_as_good"] > 0.02
