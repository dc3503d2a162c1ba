from dataclasses import replace
from pathlib import Path

import numpy as np
import pynwb
import pytest
from result_files import PROVENANCE, header, values, write_results

from ncyber_cli.errors import DataError, UsageError
from ncyber_cli.outputs.results_hdf5 import ResultsWriter
from ncyber_cli.outputs.results_layout import Features, SessionHeader
from ncyber_cli.outputs.results_nwb import nwb_from_results


def test_every_session_is_one_valid_file_that_holds_the_results(tmp_path: Path) -> None:
    one = header()
    results = write_results(tmp_path / "r.h5", one, header(session="day 2"), header(animal="monkey-b"))
    written = nwb_from_results(results, tmp_path / "nwb")
    assert [path.name for path in written] == [
        "sub-monkey-a_ses-day-1.nwb", "sub-monkey-a_ses-day-2.nwb", "sub-monkey-b_ses-day-1.nwb",
    ]  # fmt: skip
    for path in written:
        assert pynwb.validate(path=str(path)) == []
    with pynwb.NWBHDF5IO(str(written[0]), "r") as io:
        nwb = io.read()
        assert nwb.subject.subject_id == "monkey-a"
        assert nwb.session_id == "day 1"
        rates = nwb.analysis["rates_mean"]
        np.testing.assert_array_equal(rates.timestamps[:], one.time_s[one.mask])
        np.testing.assert_array_equal(rates.data[:], values((5, 20, 3))[one.mask].astype("f4"))
        assert (np.diff(rates.timestamps[:]) > 0).all()
        assert list(nwb.analysis["rates_features"]["held_out"][:]) == [False, True, False]
        assert list(nwb.analysis["latents_features"]["area"][:]) == ["M1", "PMd"]
        assert nwb.analysis["objectives_mean"].unit == "m"
        trials = nwb.trials
        assert list(trials["trial_id"][:]) == one.trial_id
        np.testing.assert_allclose(trials["start_time"][:], one.time_s[:, 0] - 0.01)
        np.testing.assert_allclose(trials["stop_time"][2], one.time_s[2, 9] + 0.01)
        assert "2000-01-01" in nwb.session_description


def test_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    results = write_results(tmp_path / "r.h5", header())
    (first,), (second,) = nwb_from_results(results, tmp_path / "a"), nwb_from_results(results, tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


def test_clusters_become_intervals_within_trials(tmp_path: Path) -> None:
    one = header()
    with ResultsWriter(tmp_path / "r.h5", PROVENANCE.attributes()) as writer:
        writer.add_session(one)
        writer.write_clusters("monkey-a", "day 1", np.arange(5), np.tile(np.repeat([3, 1], [5, 15]), (5, 1)))
    (path,) = nwb_from_results(tmp_path / "r.h5", tmp_path)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        table = io.read().analysis["objective_clusters"]
        assert list(table["cluster"][:]) == [3, 1] * 5
        np.testing.assert_allclose(table["start_time"][:2], [0.0, 0.1], atol=1e-12)
        np.testing.assert_allclose(table["stop_time"][5], one.time_s[2, 9] + 0.01)  # the short trial


def test_prototypes_become_a_series_of_probabilities(tmp_path: Path) -> None:
    one, probability = header(), np.random.default_rng(0).dirichlet(np.ones(3), (5, 20))
    with ResultsWriter(tmp_path / "r.h5", PROVENANCE.attributes()) as writer:
        writer.add_session(one)
        writer.write("monkey-a", "day 1", np.arange(5), "objectives", values((5, 20, 2)), np.ones((5, 20, 2)))
        writer.write_prototypes("monkey-a", "day 1", np.arange(5), probability)
        writer.write_prototype_means("monkey-a", "day 1", np.array([[0.25, 0.0], [0.0, 0.5], [-1.0, 0.0]]))
    (path,) = nwb_from_results(tmp_path / "r.h5", tmp_path)
    assert pynwb.validate(path=str(path)) == []
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        series = io.read().analysis["objectives_prototype"]
        np.testing.assert_allclose(series.data[:], probability[one.mask], rtol=1e-6)
        np.testing.assert_array_equal(series.timestamps[:], one.time_s[one.mask])
        assert "1: [0.0, 0.5]" in series.description


def about(**said: list[str]) -> SessionHeader:
    """A session whose recording says this; `subject_age` is its animal's age."""
    return replace(header(), about={name.replace("subject_", "subject/"): words for name, words in said.items()})


def test_what_the_recording_says_is_passed_on(tmp_path: Path) -> None:
    one = about(
        experimenter=["Curie, Marie"], institution=["Sorbonne"], keywords=["reach"],
        related_publications=["doi:10.1/x"],
        subject_species=["Macaca mulatta"], subject_age=["P6Y"], subject_sex=["F"], subject_description=["calm"],
    )  # fmt: skip
    (path,) = nwb_from_results(write_results(tmp_path / "r.h5", one), tmp_path)
    assert pynwb.validate(path=str(path)) == []
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        nwb = io.read()
        assert (list(nwb.experimenter), nwb.institution) == (["Curie, Marie"], "Sorbonne")
        assert "reach" in nwb.keywords[:]
        assert list(nwb.related_publications) == ["doi:10.1/x"]
        animal = nwb.subject
        assert (animal.species, animal.age, animal.sex) == ("Macaca mulatta", "P6Y", "F")
        assert animal.description == "calm"


def test_what_archives_refuse_goes_into_the_description(tmp_path: Path) -> None:
    """Best practices want fixed forms: the widest true value stands where the recording has another."""
    one = about(
        session_start_time=["1900-01-01T00:00:00-08:00"], experimenter=["marie"], related_publications=["in press"],
        subject_species=["mouse"], subject_age=["adult"], subject_sex=["male"], subject_date_of_birth=["spring"],
    )  # fmt: skip
    (path,) = nwb_from_results(write_results(tmp_path / "r.h5", one), tmp_path)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        nwb = io.read()
        assert nwb.session_start_time.year == 2000
        assert list(nwb.experimenter) == ["not named, in the recording"]
        assert nwb.related_publications is None
        animal = nwb.subject
        assert (animal.age, animal.sex) == ("P0D/", "U")
        assert animal.species.endswith("NCBITaxon_33208")  # Metazoa
        for said in ("species: mouse", "age: adult", "sex: male", "date_of_birth: spring"):
            assert said in animal.description


@pytest.mark.parametrize(("sex", "kept"), [("XX", ("Caenorhabditis elegans", "XX")), ("U", (None, "U"))])
def test_worms_have_sexes_of_their_own(sex: str, kept: tuple[str | None, str], tmp_path: Path) -> None:
    one = about(subject_species=["Caenorhabditis elegans"], subject_sex=[sex])
    (path,) = nwb_from_results(write_results(tmp_path / "r.h5", one), tmp_path)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        animal = io.read().subject
        assert animal.sex == kept[1]
        assert animal.species == kept[0] or animal.species.endswith("NCBITaxon_6239")


def test_bins_that_follow_one_another_have_a_rate(tmp_path: Path) -> None:
    one = header(bins=4)
    windows = replace(one, time_s=1.5 + 0.02 * np.arange(20).reshape(5, 4), mask=np.ones((5, 4), bool))
    (path,) = nwb_from_results(write_results(tmp_path / "r.h5", windows), tmp_path)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        rates = io.read().analysis["rates_mean"]
        assert rates.timestamps is None
        assert rates.starting_time == 1.5
        np.testing.assert_allclose(rates.rate, 50.0)


def test_a_single_feature_needs_no_table(tmp_path: Path) -> None:
    one = replace(header(), features={"objectives": Features(["goal_0"], ["m"])})
    (path,) = nwb_from_results(write_results(tmp_path / "r.h5", one), tmp_path)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        analysis = io.read().analysis
        assert "objectives_features" not in analysis
        assert "goal_0" in analysis["objectives_mean"].description


def test_a_known_start_time_is_kept(tmp_path: Path) -> None:
    one = about(session_start_time=["2024-05-01T10:00:00+00:00"])
    (path,) = nwb_from_results(write_results(tmp_path / "r.h5", one), tmp_path)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        nwb = io.read()
        assert nwb.session_start_time.isoformat() == "2024-05-01T10:00:00+00:00"
        assert "2000-01-01" not in nwb.session_description


def test_existing_files_and_foreign_results_are_refused(tmp_path: Path) -> None:
    results = write_results(tmp_path / "r.h5", header())
    nwb_from_results(results, tmp_path)
    with pytest.raises(UsageError, match="exists already"):
        nwb_from_results(results, tmp_path)
    nwb_from_results(results, tmp_path, overwrite=True)
    with pytest.raises(DataError):
        nwb_from_results(tmp_path / "sub-monkey-a_ses-day-1.nwb", tmp_path)


def test_names_that_would_share_a_file_are_refused(tmp_path: Path) -> None:
    results = write_results(tmp_path / "r.h5", header(session="a b"), header(session="a-b"))
    with pytest.raises(DataError, match="one NWB file name"):
        nwb_from_results(results, tmp_path / "nwb")
