import numpy as np

from ncyber_cli.outputs.session_clock import session_clock

BINS = 0.1 * np.arange(4) + 0.05


def test_disjoint_trials_keep_every_bin_in_the_order_of_time() -> None:
    time_s = np.stack([BINS + 2.0, BINS, BINS + 1.0])
    mask = np.ones((3, 4), bool)
    mask[0, 3] = False
    clock = session_clock(time_s, mask, 0.1)
    assert clock.trial.tolist() == [1] * 4 + [2] * 4 + [0] * 3
    assert (np.diff(clock.time_s) > 0).all()
    assert clock.spans() == [(1, 0, 4), (2, 4, 8), (0, 8, 11)]
    assert clock.spans(2, 6) == [(1, 2, 4), (2, 4, 6)]
    assert clock.note == ""


def test_a_bin_that_an_earlier_trial_covers_is_left_out_of_the_later_one() -> None:
    clock = session_clock(np.stack([BINS, BINS + 0.2]), np.ones((2, 4), bool), 0.1)
    np.testing.assert_allclose(clock.time_s, 0.1 * np.arange(6) + 0.05)
    assert clock.bin.tolist() == [0, 1, 2, 3, 2, 3]
    assert "2 bins" in clock.note


def test_trials_without_a_session_time_are_laid_end_to_end() -> None:
    clock = session_clock(np.stack([BINS] * 3), np.ones((3, 4), bool), 0.1)
    assert len(clock.time_s) == 12
    np.testing.assert_allclose(clock.shift_s, [0.0, 0.5, 1.0])
    assert (np.diff(clock.time_s) > 0).all()
    assert "end to end" in clock.note


def test_no_bin_is_legal() -> None:
    clock = session_clock(np.full((2, 4), np.nan), np.zeros((2, 4), bool), 0.1)
    assert clock.spans() == []
