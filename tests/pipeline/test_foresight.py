from dataclasses import replace

import numpy as np
import pytest
from tiny import BIN_S, make_session

from ncyber_cli.outputs.verdict import MIDWAY, judge
from ncyber_cli.pipeline.evidence import OWN, distances, first_horizon, gains, nats_of, together
from ncyber_cli.pipeline.foresight import STARTS, Foresight, motion_forecast, recorded_after, start_bins

HORIZON = 5


def _foresight(sizes: dict[str, float], seed: int = 0, trials: int = 40) -> Foresight:
    """Errors of a given size for each arm, alike in everything else."""
    rng = np.random.default_rng(seed)
    parts = []
    for count in (trials, trials // 2):
        unit = rng.normal(size=(count, len(STARTS), HORIZON, 2))
        parts.append({arm: [size * unit] for arm, size in sizes.items()})
    return Foresight(*parts)


def test_forecasts_begin_inside_the_trial_and_end_with_it() -> None:
    session = make_session(trials=8, bins=20, shortest=10)
    start = start_bins(session)
    length = session.mask.sum(1)
    assert (start >= 0).all()
    assert (start < length[:, None]).all()
    after = recorded_after(session, start, 40)
    inside = start[:, :, None] + 1 + np.arange(40) < length[:, None, None]
    assert np.isnan(after[~inside]).all()


def test_what_comes_after_a_start_is_the_recorded_body() -> None:
    session = make_session(trials=6, bins=20)
    after = recorded_after(session, np.full((6, 1), 3), 2)
    np.testing.assert_array_equal(after[0, 0], session.body[0, 4:6])


def test_a_start_without_a_body_is_not_scored() -> None:
    session = make_session(trials=6, bins=20)  # the second trial has a gap in bins 5 and 6
    assert np.isnan(recorded_after(session, np.full((6, 1), 5), 3)[1]).all()


def test_linear_motion_is_foretold_and_only_training_trials_teach_it() -> None:
    session = make_session(trials=40, bins=30)
    time = BIN_S * np.arange(30)
    speed = np.random.default_rng(0).normal(size=(40, 1, 2))
    position = speed * time[None, :, None]
    session = replace(session, body=np.concatenate([position, speed + 0 * position], -1).astype(np.float32))
    assert np.abs(motion_forecast(session, HORIZON)).max() < 1e-3
    other = session.body.copy()
    other[session.split == 2] += 1.0
    moved = motion_forecast(replace(session, body=other), HORIZON)
    np.testing.assert_array_equal(moved[session.split != 2], motion_forecast(session, HORIZON)[session.split != 2])


def test_smaller_errors_are_a_gain_of_their_log_ratio() -> None:
    nats = nats_of([_foresight({OWN: 1.0, "none": 2.0})], bin_s=0.1)
    found = gains("a", 2, [nats], [])
    assert abs(found.over["none"].mean - 2 * np.log(2)) < 1e-6
    assert len(found.by_start["none"]) == len(STARTS)


def test_being_too_sure_or_too_cautious_decides_nothing() -> None:
    """An arm's spread is learned from its own errors, so that only their size counts."""
    both = [nats_of([_foresight({OWN: 1.0, "none": size})], bin_s=0.1) for size in (1.0, 1.0)]
    assert gains("a", 2, both, []).over["none"].mean == 0


def test_seeds_and_animals_are_counted() -> None:
    seeds = [nats_of([_foresight({OWN: 1.0, "none": 3.0}, seed)], bin_s=0.1) for seed in (0, 1)]
    mlps = [nats_of([_foresight({OWN: 2.0}, seed)], bin_s=0.1) for seed in (0, 1)]
    found = gains("a", 2, seeds, mlps)
    assert (found.trials, found.seeds) == (40, 2)
    assert found.over["mlp"].low > 0
    assert len(together([seeds[0], seeds[1]])[OWN]) == 80
    assert judge(found.over, 2).not_judged == ["shuffled", "motion", "behavior"]
    assert found.over[MIDWAY].mean == pytest.approx(0.5 * (found.over["none"].mean + found.over["mlp"].mean))


def test_trials_without_any_forecast_are_left_out() -> None:
    foresight = _foresight({OWN: 1.0, "none": 2.0})
    for arm in foresight.scored.values():
        arm[0][0] = np.nan
        arm[0][1, 2:] = np.nan
    found = gains("a", 2, [nats_of([foresight], bin_s=0.1)], [])
    assert found.trials == 39


def test_the_next_moment_is_not_scored() -> None:
    assert first_horizon(0.02) == 9  # bins 0.2 s ahead
    assert first_horizon(0.5) == 0


def test_distances_are_of_the_named_columns() -> None:
    errors = np.zeros((3, 4, HORIZON, 3))
    errors[..., 0], errors[..., 1], errors[..., 2] = 3.0, 4.0, 99.0
    assert distances({OWN: [errors]}, [0, 1], [1, 5]) == {OWN: [5.0, 5.0]}
    assert distances({OWN: [errors * np.nan]}, [0], [1]) == {OWN: [None]}
