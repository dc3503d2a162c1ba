"""Clusters of a results file: what they are fitted to, and where they are written."""

import tracemalloc
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pynwb
import pytest
from result_files import PROVENANCE, header

from ncyber_cli.data.recording import TEST, TRAIN, VALIDATION
from ncyber_cli.outputs.label_objectives import label_objectives
from ncyber_cli.outputs.read_results import read_results
from ncyber_cli.outputs.results_hdf5 import ResultsWriter
from ncyber_cli.outputs.results_layout import NO_CLUSTER, SessionHeader
from ncyber_cli.outputs.results_nwb import nwb_from_results

GOALS = np.array([[-0.1, 0.0], [0.1, 0.0], [0.0, 0.1]])


def session(
    name: str = "day 1", trials: int = 30, split: int | None = None, animal: str = "monkey-a", bins: int = 10
) -> SessionHeader:
    """A session of 3 training trials to 1 of validation and 1 of test, or all of one split."""
    one = header(animal, name, trials=trials, bins=bins)
    parts = np.array([TRAIN, TRAIN, TRAIN, VALIDATION, TEST])[np.arange(trials) % 5] if split is None else split
    return replace(one, split=np.broadcast_to(parts, trials).astype(np.int8))


def objectives(one: SessionHeader, seed: int = 0) -> np.ndarray:
    """Trial after trial to the three goals, some mm off."""
    rng = np.random.default_rng(seed)
    shape = (*one.mask.shape, 2)
    return GOALS[np.arange(shape[0]) % 3][:, None] + 0.003 * rng.normal(size=shape)


def clustered(target: Path, *sessions: tuple[SessionHeader, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Labels (trial, time) and means of the clusters by session, as the file holds them."""
    with ResultsWriter(target, PROVENANCE.attributes()) as writer:
        for one, mean in sessions:
            writer.add_session(one)
            everything = np.arange(len(one.trial_id))
            writer.write(one.animal, one.session, everything, "objectives", mean, np.ones_like(mean))
        label_objectives(writer, [one for one, _ in sessions])
    with read_results(target) as file:
        groups = {one.session: file[f"animals/{one.animal}/{one.session}/objectives"] for one, _ in sessions}
        return {name: (group["cluster"][:], group["cluster_mean"][:]) for name, group in groups.items()}


def test_every_bin_within_the_mask_has_its_cluster(tmp_path: Path) -> None:
    one = session()
    labels, means = clustered(tmp_path / "r.h5", (one, objectives(one)))["day 1"]
    assert means.shape == (3, 2)
    np.testing.assert_array_equal(labels == NO_CLUSTER, ~one.mask)
    aimed = np.broadcast_to(GOALS[np.arange(30) % 3][:, None], (*one.mask.shape, 2))[one.mask]
    np.testing.assert_allclose(means[labels[one.mask]], aimed, atol=0.005)


def test_test_and_validation_trials_have_no_say(tmp_path: Path) -> None:
    one = session()
    first, second = objectives(one), objectives(one)
    others = one.split != TRAIN
    second[others] = 7 * np.random.default_rng(1).normal(size=second[others].shape)
    (labels, means), (labels_2, means_2) = (
        clustered(tmp_path / f"{number}.h5", (one, mean))["day 1"] for number, mean in enumerate((first, second))
    )
    np.testing.assert_array_equal(means, means_2)
    np.testing.assert_array_equal(labels[~others], labels_2[~others])
    assert (labels_2[others & one.mask.all(1)] != NO_CLUSTER).all()


def test_a_session_the_run_has_not_seen_is_clustered_by_itself(tmp_path: Path) -> None:
    one = session(split=TEST)
    _, means = clustered(tmp_path / "r.h5", (one, objectives(one)))["day 1"]
    assert means.shape == (3, 2)


def test_sessions_of_one_animal_share_their_clusters_and_animals_do_not(tmp_path: Path) -> None:
    seen, unseen, other = session(), session("day 2", split=TEST), session("day 3", animal="monkey-b")
    found = clustered(
        tmp_path / "r.h5", (seen, objectives(seen)), (unseen, objectives(unseen, 1)), (other, 1 + objectives(other))
    )
    alone = clustered(tmp_path / "alone.h5", (seen, objectives(seen)))
    np.testing.assert_array_equal(found["day 1"][1], alone["day 1"][1])
    np.testing.assert_array_equal(found["day 2"][1], found["day 1"][1])
    np.testing.assert_allclose(np.sort(found["day 3"][1], 0), 1 + np.sort(GOALS, 0), atol=0.005)


def test_bins_without_an_objective_and_sessions_without_one_are_passed_over(tmp_path: Path) -> None:
    one = session()
    mean = objectives(one)
    mean[4, 3] = np.nan
    labels, _ = clustered(tmp_path / "r.h5", (one, mean))["day 1"]
    assert labels[4].tolist() == [labels[4, 0]] * 3 + [NO_CLUSTER] + [labels[4, 0]] * 6
    brain = replace(one, features={"latents": one.features["latents"]})
    with ResultsWriter(tmp_path / "brain.h5", {}) as writer:
        writer.add_session(brain)
        writer.add_session(replace(one, session="unwritten"))
        label_objectives(writer, [brain, replace(one, session="unwritten")])
    with read_results(tmp_path / "brain.h5") as file:
        assert "objectives" not in file["animals/monkey-a/day 1"]
        assert "cluster" not in file["animals/monkey-a/unwritten/objectives"]


def test_memory_does_not_grow_with_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncyber_cli.outputs.label_objectives._MOST_BINS", 100)  # a fast fit
    monkeypatch.setattr("ncyber_cli.outputs.clusters.MOST_CLUSTERS", 3)

    def peak_bytes(trials: int) -> int:
        one = session(trials=trials, bins=50)
        with ResultsWriter(tmp_path / f"{trials}.h5", {}) as writer:
            writer.add_session(one)
            mean = objectives(one)
            writer.write(one.animal, one.session, np.arange(trials), "objectives", mean, mean)
            tracemalloc.start()
            label_objectives(writer, [one])
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return peak

    import_module("sklearn.mixture")  # what it keeps is no trial's
    few, many = peak_bytes(700), peak_bytes(2_800)
    assert many < few + 300_000  # the longer session's objectives are 1.1 MB, 0.8 MB more


def test_nwb_shows_the_clusters_as_intervals(tmp_path: Path) -> None:
    one = session()
    clustered(tmp_path / "r.h5", (one, objectives(one)))
    [path] = nwb_from_results(tmp_path / "r.h5", tmp_path / "nwb")
    assert pynwb.validate(path=str(path)) == []
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        table = io.read().analysis["objective_clusters"]
        assert len(table) == 30  # one goal a trial
        assert set(table["cluster"][:]) == {0, 1, 2}
