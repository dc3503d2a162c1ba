from collections.abc import Mapping

import pytest

from ncyber_cli.outputs.metrics import Interval
from ncyber_cli.outputs.verdict import ARMS, BETTER, MIDWAY, NEURAL, WORTH, WORTHWHILE, judge, unjudged

CHANNELS = 4
GOOD, NOTHING, BAD = Interval(2.0, 1.0, 3.0), Interval(0.0, -0.1, 0.1), Interval(-1.0, -1.5, -0.5)


def _gains(**changed: Interval | None) -> Mapping[str, Interval]:
    every: dict[str, Interval | None] = dict.fromkeys(ARMS, GOOD) | changed
    return {arm: gain for arm, gain in every.items() if gain is not None}


def test_all_that_is_needed_is_a_yes() -> None:
    verdict = judge(_gains(), CHANNELS)
    assert (verdict.supported, verdict.failed, verdict.not_judged) == ("yes", [], [])


@pytest.mark.parametrize("arm", [*WORTHWHILE, *BETTER])
@pytest.mark.parametrize("gain", [NOTHING, BAD])
def test_whatever_foretells_as_well_is_a_no(arm: str, gain: Interval) -> None:
    verdict = judge(_gains(**{arm: gain}), CHANNELS)
    assert (verdict.supported, verdict.failed) == ("no", [arm])


def test_forecasts_of_another_kind_need_only_be_beaten() -> None:
    barely = Interval(0.1, 0.01, 0.2)
    assert judge(_gains(**dict.fromkeys(BETTER, barely)), CHANNELS).supported == "yes"
    assert judge(_gains(**dict.fromkeys(WORTHWHILE, barely)), CHANNELS).failed == list(WORTHWHILE)


@pytest.mark.parametrize("gain", [NOTHING, BAD])
def test_neurons_that_add_nothing_have_no_part_in_it(gain: Interval) -> None:
    verdict = judge(_gains(**{NEURAL: gain}), CHANNELS)
    assert verdict.supported == "by behavior"
    assert "not by this neural activity" in verdict.sentence


def test_a_run_that_sees_one_modality_says_nothing_of_neurons() -> None:
    verdict = judge(_gains(**{NEURAL: None}), CHANNELS)
    assert (verdict.supported, verdict.not_judged) == ("by behavior", [NEURAL])


def test_what_was_left_out_is_not_judged_unless_the_rest_says_no() -> None:
    assert judge(_gains(**{MIDWAY: None}), CHANNELS).supported == "not judged"
    assert judge(_gains(**{MIDWAY: None, "none": NOTHING}), CHANNELS).supported == "no"
    assert unjudged("no body").not_judged == list(ARMS)


def test_a_sure_gain_may_be_too_small_and_more_channels_ask_for_more() -> None:
    small = Interval(0.3, 2.5 * WORTH, 0.5)
    assert judge(_gains(none=small), 2).supported == "yes"
    assert judge(_gains(none=small), 3).supported == "no"
