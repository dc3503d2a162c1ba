import json
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from result_files import FEATURES, PROVENANCE, header, values, write_results

from ncyber_cli.errors import DataError, UsageError
from ncyber_cli.outputs.read_results import read_results, session_groups
from ncyber_cli.outputs.results_hdf5 import ResultsWriter
from ncyber_cli.outputs.results_layout import Features, SessionHeader, chunk_shape, path_part
from ncyber_cli.pipeline.taught_rates import read_rates

SHARED = ["bin_s", "event_s", "held_out", "mask", "split", "time_s", "trial_id", "unit_area", "unit_id"]


def paths(group: h5py.Group) -> list[str]:
    found: list[str] = []
    group.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return sorted(found)


def contract(*statistics: str) -> list[str]:
    names = [name for name in SHARED if name != "bin_s"] + ["latents/area"]
    for group in ("latents", "controls", "actuator", "objectives", "rates", "body"):
        names += [f"{group}/{part}" for part in ("names", "units", *statistics)]
    return sorted(names)


def test_names_of_infer_are_the_contract(tmp_path: Path) -> None:
    target = tmp_path / "results.h5"
    with ResultsWriter(target, PROVENANCE.attributes()) as writer:
        writer.add_session(header())
        writer.write_clusters("monkey-a", "day 1", np.arange(5), np.zeros((5, 20), int))
        writer.write_cluster_means("monkey-a", "day 1", np.zeros((1, 2)))
    with h5py.File(target) as file:
        clusters = ["objectives/cluster", "objectives/cluster_mean"]
        assert paths(file["animals/monkey-a/day 1"]) == sorted([*contract("mean", "sd"), *clusters])
        assert sorted(file) == ["animals"]
        assert sorted(file.attrs) == [
            "command", "complete", "format", "format_version", "input_sha256", "seed", "spec", "versions",
        ]  # fmt: skip
        assert json.loads(file.attrs["input_sha256"]) == {"a.nwb": "00ff"}
        assert file.attrs["command"] == "ncyber infer 'runs/my reach'"


def test_prototypes_are_written_with_the_most_probable_as_the_cluster(tmp_path: Path) -> None:
    target, one = tmp_path / "results.h5", header()
    probability = np.random.default_rng(0).dirichlet(np.ones(3), (5, 20))
    mean = np.array([[0.1, 0.0], [0.0, 0.1], [-0.1, 0.0]])
    with ResultsWriter(target, PROVENANCE.attributes()) as writer:
        writer.add_session(one)
        for trials in ([3, 1], [0, 2, 4]):
            writer.write_prototypes("monkey-a", "day 1", np.array(trials), probability[trials])
        writer.write_prototype_means("monkey-a", "day 1", mean)
    with read_results(target) as file:
        part = file["animals/monkey-a/day 1/objectives"]
        np.testing.assert_allclose(part["prototype"][:][one.mask], probability[one.mask], rtol=1e-6)
        assert np.isnan(part["prototype"][:][~one.mask]).all()
        np.testing.assert_array_equal(part["cluster"][:], np.where(one.mask, probability.argmax(-1), -1))
        for name in ("prototype_mean", "cluster_mean"):
            np.testing.assert_allclose(part[name][:], mean, rtol=1e-6)


def test_names_of_simulate_are_the_contract(tmp_path: Path) -> None:
    target = tmp_path / "rollouts.h5"
    with ResultsWriter(target, PROVENANCE.attributes()) as writer:
        writer.add_rollout("closed loop", header(), samples=4, settings={"silenced": "M1"})
        for samples in ([0, 1], [3, 2]):
            drawn = values((2, 2, 20, 2), seed=samples[0])
            writer.write_samples("closed loop", np.array(samples), np.array([4, 2]), "body", drawn)
    with read_results(target) as file:
        group = file["rollouts/closed loop"]
        assert paths(group) == contract("sample")
        assert group.attrs["silenced"] == "M1"
        assert group["body/sample"].shape == (4, 5, 20, 2)
        np.testing.assert_array_equal(group["body/sample"][2, 4], values((2, 2, 20, 2), seed=3)[1, 0].astype("f4"))
        assert np.isnan(group["body/sample"][:, 2, 10:]).all()  # masked
        assert np.isnan(group["body/sample"][:, 0]).all()  # never written


def test_samples_of_a_session_are_there_where_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "results.h5"
    with ResultsWriter(target, PROVENANCE.attributes()) as writer:
        writer.add_session(header(), samples=3)
        writer.write_draw("monkey-a", "day 1", 2, np.array([4, 2]), "body", values((2, 20, 2)))
    with read_results(target) as file:
        (group,) = session_groups(file)
        assert paths(group) == contract("mean", "sd", "sample")
        assert group["rates/sample"].shape == (3, 5, 20, 3)
        np.testing.assert_array_equal(group["body/sample"][2, 4], values((2, 20, 2))[0].astype("f4"))
        assert np.isnan(group["body/sample"][2, 2, 10:]).all()  # masked
        assert np.isnan(group["body/sample"][:2]).all()  # never written


def test_order_and_batches_of_trials_do_not_matter(tmp_path: Path) -> None:
    mean, sd = values((5, 20, 2)), values((5, 20, 2), seed=1)
    files = []
    for number, batches in enumerate([[[0, 1, 2, 3, 4]], [[4, 0, 2], [3, 1]], [[1], [0], [4], [3], [2]]]):
        files.append(tmp_path / f"{number}.h5")
        with ResultsWriter(files[-1], PROVENANCE.attributes()) as writer:
            writer.add_session(header())
            for batch in batches:
                writer.write("monkey-a", "day 1", np.array(batch), "latents", mean[batch], sd[batch])
    contents = []
    for path in files:
        with read_results(path) as file:
            contents.append(file["animals/monkey-a/day 1/latents/mean"][:])
    for content in contents[1:]:
        np.testing.assert_array_equal(content, contents[0])


def test_masked_bins_are_nan_whatever_is_written(tmp_path: Path) -> None:
    target = write_results(tmp_path / "results.h5", header())
    with read_results(target) as file:
        (group,) = session_groups(file)
        mask = group["mask"][:]
        for name in FEATURES:
            for statistic in ("mean", "sd"):
                np.testing.assert_array_equal(np.isnan(group[name][statistic][:]).all(-1), ~mask)
        assert np.isnan(group["time_s"][:][~mask]).all()


def test_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_results(tmp_path / name, header()) for name in ("a.h5", "b.h5"))
    assert first.read_bytes() == second.read_bytes()


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with ResultsWriter(tmp_path / "kept.h5", {}) as writer:
        writer.add_session(header())
    with pytest.raises(DataError), ResultsWriter(tmp_path / "r.h5", {}) as writer:  # noqa: PT012
        writer.add_session(header())
        writer.add_session(header())
    assert [path.name for path in tmp_path.iterdir()] == ["kept.h5"]


def test_a_killed_writer_leaves_no_target(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from result_files import *\n"
        "with ResultsWriter(Path(sys.argv[1]), {}) as writer:\n"
        "    writer.add_session(header())\n"
        "    print('writing', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    target, here = tmp_path / "r.h5", Path(__file__).parent
    command = [sys.executable, "-c", script, str(target), str(here), str(here.parents[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        os.kill(writer.pid, signal.SIGKILL)
    assert not target.exists()


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    script = (
        "import resource, sys; sys.path[:0] = sys.argv[2:]\n"
        "import numpy as np\n"
        "from result_files import *\n"
        "from ncyber_cli.errors import ResourceError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "one = header(trials=400, bins=100)\n"
        "try:\n"
        "    write_results(Path(sys.argv[1]), one)\n"
        "except ResourceError as error:\n"
        "    print(error)\n"
    )
    target, here = tmp_path / "r.h5", Path(__file__).parent
    command = [sys.executable, "-c", script, str(target), str(here), str(here.parents[1])]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith(f"{target}: the disk is full; free space")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_unless_told(tmp_path: Path) -> None:
    target = write_results(tmp_path / "results.h5", header())
    before = target.read_bytes()
    with pytest.raises(UsageError, match="exists already"), ResultsWriter(target, {}):
        pass
    assert target.read_bytes() == before
    with ResultsWriter(target, {}, overwrite=True):
        pass
    assert target.read_bytes() != before


def test_names_that_meet_are_refused_and_slashes_are_no_folders(tmp_path: Path) -> None:
    with ResultsWriter(tmp_path / "r.h5", {}) as writer:
        writer.add_session(header("m/1", "s"))
        writer.add_session(header("m/1", "s2"))
        with pytest.raises(DataError, match="animals/m_1/s: two results have this name"):
            writer.add_session(header("m_1", "s"))
        writer.add_rollout("a", header(), samples=1, settings={})
        with pytest.raises(DataError, match="rollouts/a"):
            writer.add_rollout("a", header(), samples=1, settings={})
    assert [path_part(name) for name in ("a/b", "..", "", " x ", "a.b")] == ["a_b", "_..", "_", "x", "a.b"]


def test_wrong_shapes_are_refused(tmp_path: Path) -> None:
    with ResultsWriter(tmp_path / "r.h5", {}) as writer:
        writer.add_session(header())
        one = np.array([0])
        with pytest.raises(ValueError, match="for 1 trials of 20 bins"):
            writer.write("monkey-a", "day 1", one, "latents", np.zeros((1, 19, 2)), np.zeros((1, 19, 2)))
        with pytest.raises(ValueError, match="takes rows of shape"):
            writer.write("monkey-a", "day 1", one, "latents", np.zeros((1, 20, 3)), np.zeros((1, 20, 3)))
        with pytest.raises(ValueError, match="one trial twice"):
            writer.write("monkey-a", "day 1", np.array([1, 1]), "latents", np.zeros((2, 20, 2)), np.zeros((2, 20, 2)))
    with pytest.raises(ValueError, match="unknown groups"):
        SessionHeader(**{**vars(header()), "features": {"goals": Features(["o"], ["m"])}})
    with pytest.raises(ValueError, match="held_out has shape"):
        SessionHeader(**{**vars(header()), "held_out": np.zeros(2, bool)})


def test_the_reader_refuses_foreign_unfinished_and_newer_files(tmp_path: Path) -> None:
    target = write_results(tmp_path / "results.h5", header())
    cases = [
        ("complete", False, "not finished"),
        ("format", "other", "not a results"),
        ("format_version", 99, "up to 1"),
    ]
    for attribute, value, message in cases:
        changed = tmp_path / f"{attribute}.h5"
        changed.write_bytes(target.read_bytes())
        with h5py.File(changed, "r+") as file:
            file.attrs[attribute] = value
        with pytest.raises(DataError, match=message), read_results(changed):
            pass
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(DataError), read_results(tmp_path / "text.h5"):
        pass


def test_rates_are_not_taught_from_an_unfinished_file(tmp_path: Path) -> None:
    """Whatever reads results asks whether all of them are there; a teacher's file need not be ncyber's own."""
    path = write_results(tmp_path / "results.h5")
    with h5py.File(path, "a") as file:
        file.attrs["complete"] = False
    with pytest.raises(DataError, match="was not finished; write it again"):
        read_rates(path, [], counts=True, remark=print)


def test_memory_does_not_grow_with_trials_or_samples(tmp_path: Path) -> None:
    def peak_bytes(trials: int, samples: int) -> int:
        with ResultsWriter(tmp_path / f"{trials}-{samples}.h5", {}) as writer:
            writer.add_rollout("r", header(trials=trials, bins=50), samples=samples, settings={})
            batch = values((1, 10, 50, 3))
            tracemalloc.start()
            for sample in range(samples):
                for first in range(0, trials, 10):
                    writer.write_samples("r", np.array([sample]), np.arange(first, first + 10), "rates", batch)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return peak

    few, many = peak_bytes(20, 2), peak_bytes(400, 8)
    assert many < few + 200_000  # the larger result is 1.9 MB


def test_chunks_are_bounded_and_fit() -> None:
    for shape in [(1, 1, 1), (160, 70, 8), (160, 70, 500), (1, 540_000, 500), (3, 7, 100_000)]:
        chunk = chunk_shape(*shape)
        assert all(1 <= c <= s for c, s in zip(chunk, shape, strict=True))
        assert np.prod(chunk) <= max(65536, shape[2])


def test_a_group_without_features_is_legal(tmp_path: Path) -> None:
    one = SessionHeader(**{**vars(header()), "features": {"controls": Features([], [])}})
    target = write_results(tmp_path / "r.h5", one)
    with read_results(target) as file:
        assert file["animals/monkey-a/day 1/controls/mean"].shape == (5, 20, 0)
