import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from ncyber_cli.outputs.metrics import r2
from ncyber_cli.outputs.metrics.nulls import (
    NULLS,
    BehaviorAlone,
    EndPoint,
    HandPosition,
    SmoothedSpikes,
    Trials,
    smooth,
)


def reaches(trials: int, seed: int) -> Trials:
    """Hands that go straight from 0 to a goal and spikes that are tuned to it; ragged, with gaps in the recording."""
    generator = np.random.default_rng(seed)
    tuning = np.random.default_rng(99).normal(size=(2, 20))
    goal = generator.uniform(-1, 1, size=(trials, 1, 2)) * np.ones((1, 50, 1))
    progress = np.clip((np.arange(50) - 5) / 25, 0, 1)[None, :, None]
    body = np.concatenate([goal * progress, goal * (np.diff(progress, axis=1, prepend=0.0))], axis=-1)
    body[generator.random((trials, 50)) < 0.05] = np.nan
    counts = generator.poisson(np.exp(goal @ tuning * 0.5 - 0.5)).astype(float)
    mask = np.arange(50) < generator.integers(35, 51, size=trials)[:, None]
    return Trials(counts, body, goal, mask)


TRAIN, VALIDATION, TEST = reaches(40, 0), reaches(15, 1), reaches(25, 2)


def scores(name: str) -> float:
    return r2(TEST.target, NULLS[name].fit(TRAIN, VALIDATION)(TEST), TEST.mask)


def test_each_null_finds_what_its_evidence_holds_and_no_more() -> None:
    assert scores("training mean") == pytest.approx(0, abs=0.05)
    assert scores("end point") == pytest.approx(1)
    assert 0 < scores("hand position") < 0.8
    assert scores("hand position") < scores("behaviour alone, causal") < scores("end point")
    assert scores("smoothed spikes, causal") < scores("smoothed spikes") < 1
    assert scores("smoothed spikes") > 0.8


def test_hand_position_and_end_point_are_raw() -> None:
    position = HandPosition().fit(TRAIN, VALIDATION)(TEST)
    recorded = TEST.mask & ~np.isnan(TEST.body[..., 0])
    np.testing.assert_array_equal(position[recorded], TEST.body[..., :2][recorded])
    end = EndPoint().fit(TRAIN, VALIDATION)(TEST)
    np.testing.assert_allclose(end, TEST.target)


@pytest.mark.parametrize(
    "null", [SmoothedSpikes(causal=True), BehaviorAlone(causal=True), HandPosition()], ids=["spikes", "body", "hand"]
)
def test_causal_nulls_do_not_change_when_the_future_does(null: SmoothedSpikes | BehaviorAlone | HandPosition) -> None:
    predict = null.fit(TRAIN, VALIDATION)
    seen = 20
    other = reaches(25, 3)
    changed = Trials(
        counts=np.concatenate([TEST.counts[:, :seen], other.counts[:, seen:]], axis=1),
        body=np.concatenate([TEST.body[:, :seen], other.body[:, seen:]], axis=1),
        target=TEST.target,
        mask=TEST.mask & (np.arange(50) < 36),  # trial length is unknown too
    )
    np.testing.assert_array_equal(predict(changed)[:, :seen], predict(TEST)[:, :seen])


def test_bins_outside_the_mask_change_nothing() -> None:
    dirty = Trials(*(np.where(TEST.mask[..., None], v, 1e6) for v in (TEST.counts, TEST.body, TEST.target)), TEST.mask)
    for null in NULLS.values():
        predict = null.fit(TRAIN, VALIDATION)
        np.testing.assert_array_equal(predict(dirty)[TEST.mask], predict(TEST)[TEST.mask])


def test_smoothing_is_a_weighted_mean_and_a_gaussian_filter_away_from_edges() -> None:
    counts = np.random.default_rng(0).poisson(1.0, size=(3, 80, 2)).astype(float)
    mask = np.ones((3, 80), bool)
    twin = gaussian_filter1d(counts, 2.0, axis=1, truncate=4.0)
    np.testing.assert_allclose(smooth(counts, mask, 2.0, causal=False)[:, 10:-10], twin[:, 10:-10])
    for causal in (False, True):
        np.testing.assert_allclose(smooth(np.full_like(counts, 3.0), mask, 4.0, causal=causal), 3.0)
