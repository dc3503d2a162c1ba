"""`infer` from files to file: the contract of the results file, and what is refused."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pynwb
import pytest
import torch
from finished_run import LORENZ_DATA, REACH_DATA, REACH_MODEL, finished_run, lorenz_file, reach_files
from tiny import make_session

from ncyber_cli.data.recording import SPLIT_NAMES
from ncyber_cli.errors import CheckpointError, DataError, UsageError
from ncyber_cli.outputs.read_results import read_results, session_groups, texts
from ncyber_cli.outputs.results_layout import GROUPS, NO_CLUSTER
from ncyber_cli.pipeline import infer
from ncyber_cli.pipeline.infer import InferOptions, infer_run
from ncyber_cli.pipeline.open_run import TrialBatch, open_run, trial_batches
from ncyber_cli.pipeline.sessions import sessions_of_run


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return reach_files(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, files: list[Path]) -> Path:
    return finished_run(tmp_path_factory.mktemp("runs") / "reach", files, REACH_DATA, REACH_MODEL)


def values_of(path: Path) -> dict[str, np.ndarray]:
    """Every mean and sd of a results file."""
    found: dict[str, np.ndarray] = {}
    with read_results(path) as results:
        for group in session_groups(results):
            found |= {
                f"{group.attrs['session']}/{name}/{part}": group[name][part][:]
                for name in GROUPS
                if name in group
                for part in ("mean", "sd")
            }
    return found


def test_the_results_file_holds_every_trial_of_every_session(run: Path, files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "results.h5"
    infer_run(run, [str(path) for path in files], out, InferOptions())
    opened = open_run(run, "best", "cpu")
    sessions = {session.session: session for session in sessions_of_run(opened.layout, opened.spec, files)}
    with read_results(out) as results:
        assert {str(group.attrs["session"]) for group in session_groups(results)} == set(sessions)
        assert set(json.loads(results.attrs["input_sha256"])) == {str(run / "best.pt"), *map(str, files)}
        assert results.attrs["samples"] == 3
        for group in session_groups(results):
            session = sessions[str(group.attrs["session"])]
            assert texts(group["trial_id"]) == session.trial_id
            assert texts(group["split"]) == [SPLIT_NAMES[part] for part in session.split]
            np.testing.assert_array_equal(group["time_s"][:], session.time_s)
            assert set(group) & set(GROUPS) == set(GROUPS)
            assert texts(group["objectives/units"]) == ["m", "m"]
            assert texts(group["controls/units"]) == ["m/s^2", "m/s^2"]
            for name in GROUPS:
                for part in ("mean", "sd"):
                    assert np.isfinite(group[name][part][:]).all(axis=2).tolist() == session.mask.tolist()
            labels = group["objectives/cluster"][:]
            np.testing.assert_array_equal(labels == NO_CLUSTER, ~session.mask)
            assert labels.max() < len(group["objectives/cluster_mean"])
            recorded = ~np.isnan(session.body)
            np.testing.assert_array_equal(group["body/mean"][:][recorded], session.body[recorded])


def test_the_size_of_a_batch_and_the_company_of_files_change_nothing(
    run: Path, files: list[Path], tmp_path: Path
) -> None:
    infer_run(run, [str(path) for path in files], tmp_path / "all.h5", InferOptions())
    infer_run(run, [str(files[1])], tmp_path / "one.h5", InferOptions(batch=3))
    together, alone = values_of(tmp_path / "all.h5"), values_of(tmp_path / "one.h5")
    assert len(alone) == len(together) / 2
    for name, values in alone.items():
        np.testing.assert_allclose(values, together[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("options", [InferOptions(causal=True), InferOptions(until_s=0.3), InferOptions(samples=2)])
def test_every_way_of_asking_fills_the_file(
    run: Path, files: list[Path], tmp_path: Path, options: InferOptions
) -> None:
    infer_run(run, [str(files[0])], tmp_path / "results.h5", options)
    values = values_of(tmp_path / "results.h5")
    assert len(values) == 2 * len(GROUPS)
    assert all(np.isfinite(found).all() for found in values.values())
    with read_results(tmp_path / "results.h5") as results:
        [group] = session_groups(results)
        assert (group["objectives/cluster"][:] != NO_CLUSTER).all()


@pytest.mark.parametrize("until_s", [None, 0.3])
def test_written_samples_are_those_behind_mean_and_sd(
    run: Path, files: list[Path], tmp_path: Path, until_s: float | None
) -> None:
    out = tmp_path / "results.h5"
    options = InferOptions(samples=5, write_samples=True, batch=4, until_s=until_s)
    infer_run(run, [str(path) for path in files], out, options)
    with read_results(out) as results:
        for group in session_groups(results):
            mask = group["mask"][:]
            for name in GROUPS:
                sample = group[name]["sample"][:].astype(np.float64)
                assert sample.shape == (5, *group[name]["mean"].shape)
                assert np.isfinite(sample).all(axis=(0, 3)).tolist() == mask.tolist()
                scale = np.abs(sample[:, mask]).max()
                for part, found in (("mean", sample.mean(0)), ("sd", sample.std(0, ddof=1))):
                    np.testing.assert_allclose(group[name][part][:], found, rtol=1e-4, atol=1e-6 * scale)


def test_a_row_of_samples_is_one_joint_draw(run: Path, files: list[Path], tmp_path: Path) -> None:
    """The rates of a sample are those of its latents, which no shuffling of rows would leave."""
    out = tmp_path / "results.h5"
    infer_run(run, [str(files[0])], out, InferOptions(samples=4, write_samples=True))
    emission = open_run(run, "best", "cpu").model.loop.emission
    with read_results(out) as results:
        [group] = session_groups(results)
        latents = torch.from_numpy(group["latents/sample"][:])
        for sample, rates in zip(latents, group["rates/sample"][:], strict=True):
            index = torch.zeros(len(sample), dtype=torch.int64)
            expected = emission.rate(emission.predictor(sample, index), index)
            np.testing.assert_allclose(rates, expected.detach().numpy()[..., : rates.shape[-1]], rtol=1e-4)


def test_a_forecast_is_scored_after_the_cut_and_co_smoothing_before_it(
    run: Path, files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    infer_run(run, [str(files[0])], tmp_path / "all.h5", InferOptions(), as_json=True)
    infer_run(run, [str(files[0])], tmp_path / "early.h5", InferOptions(until_s=0.3), as_json=True)
    written = capsys.readouterr().out.split("\n]\n")
    [whole], [early] = (json.loads(text + "]") for text in written[:2])
    assert "fp_bps" not in whole
    assert isinstance(early["fp_bps"], float)
    assert early["co_bps"] != whole["co_bps"]
    assert (whole["train"], whole["validation"], whole["test"]) == (5, 1, 4)


def test_nwb_files_are_valid(run: Path, files: list[Path], tmp_path: Path) -> None:
    infer_run(run, [str(files[0])], tmp_path / "results.h5", InferOptions(nwb=tmp_path / "nwb"))
    [path] = (tmp_path / "nwb").iterdir()
    assert pynwb.validate(path=str(path)) == []
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        assert len(io.read().analysis["objective_clusters"]) >= 10  # no interval spans two trials


def test_a_brain_without_body_has_latents_and_rates_alone(tmp_path: Path) -> None:
    files = lorenz_file(tmp_path)
    model = {"brain": {"kind": "residual_mlp", "latents": 3}}
    run = finished_run(tmp_path / "run", files, LORENZ_DATA, model, inputs=["neural"])
    infer_run(run, [str(files[0])], tmp_path / "results.h5", InferOptions(until_s=0.5))
    assert {name.split("/")[1] for name in values_of(tmp_path / "results.h5")} == {"latents", "rates"}
    with pytest.raises(UsageError, match=r"never saw behavior; fit with inference\.inputs: \[neural, behavior\]"):
        infer_run(run, [str(files[0])], tmp_path / "more.h5", InferOptions(sources="behavior"))


def test_behaviour_without_a_body_is_shown_and_not_written(files: list[Path], tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", files, REACH_DATA, {"brain": {"kind": "linear", "latents": 3}})
    for sources in ("both", "behavior"):
        infer_run(run, [str(files[0])], tmp_path / f"{sources}.h5", InferOptions(sources=sources))
    both, behavior = (values_of(tmp_path / f"{sources}.h5") for sources in ("both", "behavior"))
    assert {name.split("/")[1] for name in both} == {"latents", "rates"}
    assert not np.allclose(both["reach-1-seed0/latents/mean"], behavior["reach-1-seed0/latents/mean"])


def test_no_batch_outlives_the_next(
    run: Path, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[weakref.ref[object]] = []

    def watched(*arguments: object) -> Iterator[TrialBatch]:
        for some in trial_batches(*arguments):
            seen.append(weakref.ref(some.batch.observation))
            yield some
            del some
            assert sum(one() is not None for one in seen) <= 1

    monkeypatch.setattr(infer, "trial_batches", watched)
    infer_run(run, [str(files[0])], tmp_path / "results.h5", InferOptions(batch=2))
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (InferOptions(causal=True, until_s=0.2), "--causal and --until-s exclude each other"),
        (InferOptions(causal=True, samples=8), "--samples: --causal draws no samples"),
        (InferOptions(causal=True, write_samples=True), "--write-samples: --causal draws no samples"),
        (InferOptions(until_s=0.001), "a forecast from 0.001 s on"),
        (InferOptions(until_s=9.0), "trials have up to 0.8 s"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    run: Path, files: list[Path], tmp_path: Path, options: InferOptions, text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        infer_run(run, [str(files[0])], tmp_path / "results.h5", options)
    assert list(tmp_path.iterdir()) == []


def test_causal_objectives_of_an_unfinished_fit_are_refused_and_smoothed_ones_are_not(
    files: list[Path], tmp_path: Path
) -> None:
    young = finished_run(tmp_path / "young", files, REACH_DATA, REACH_MODEL, finished=False)
    with pytest.raises(CheckpointError, match="before its fit was finished"):
        infer_run(young, [str(files[0])], tmp_path / "causal.h5", InferOptions(causal=True))
    assert not (tmp_path / "causal.h5").exists()
    infer_run(young, [str(files[0])], tmp_path / "smoothed.h5", InferOptions())


def test_what_exists_is_not_replaced_unasked(run: Path, files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "results.h5"
    out.write_text("a thesis")
    with pytest.raises(UsageError, match="exists already"):
        infer_run(run, [str(files[0])], out, InferOptions())
    assert out.read_text() == "a thesis"
    infer_run(run, [str(files[0])], out, InferOptions(overwrite=True))
    assert values_of(out)


def test_a_folder_that_is_no_run_is_named(files: list[Path], tmp_path: Path) -> None:
    for folder, text in ((tmp_path, "holds no best.pt and no last.pt"), (tmp_path / "rum", "there is no such run")):
        with pytest.raises(CheckpointError, match=text):
            infer_run(folder, [str(files[0])], tmp_path / "results.h5", InferOptions())


def test_what_was_never_recorded_is_not_read_from() -> None:
    session = make_session("a", "s0")
    silent = replace(session, animal="b", body=np.full_like(session.body, np.nan))
    infer._check_recorded([session, silent], "neural")
    with pytest.raises(DataError, match="b s0: has no recorded behaviour"):
        infer._check_recorded([session, silent], "behavior")
