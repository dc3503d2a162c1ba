"""What training hides: in the stated shares, within the trial, and without bias of what is scored."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import Tiny, make_tiny

from ncyber_cli.training.blinding import Blinding, draw_blinding

DRAWS = 400


def draws(tiny: Tiny, progress: float = 1.0) -> list[Blinding]:
    generator = torch.Generator().manual_seed(0)
    return [draw_blinding(tiny.batch, tiny.spec.inference, generator, progress) for _ in range(DRAWS)]


def make(**inference: Any) -> Tiny:
    return make_tiny("reach", inference=inference)


def share(parts: list[torch.Tensor]) -> float:
    return torch.stack(parts).double().mean().item()


def test_spans_have_the_stated_lengths_lie_within_the_trial_and_come_in_the_stated_share() -> None:
    tiny = make(masking={"probability": 0.6, "span_bins": [2, 5]})
    lengths = torch.stack([(~blinding.visible).sum(1) for blinding in draws(tiny)])
    assert set(lengths.unique().tolist()) == {0, 2, 3, 4, 5}
    assert share([lengths > 0]) == pytest.approx(0.6, abs=0.03)
    for blinding in draws(tiny):
        blind = ~blinding.visible
        assert not (blind & ~tiny.batch.mask).any()
        starts = blind[:, 1:] & ~blind[:, :-1]
        assert torch.all(starts.sum(1) + blind[:, 0] <= 1)  # one contiguous span


def test_every_bin_of_a_trial_can_be_blind() -> None:
    tiny = make(masking={"probability": 1.0, "span_bins": [2, 4]})
    ever = torch.stack([~blinding.visible for blinding in draws(tiny)]).any(0)
    assert torch.equal(ever, tiny.batch.mask)


def test_a_trial_shorter_than_its_span_is_blind_and_nothing_more() -> None:
    tiny = make(masking={"probability": 1.0, "span_bins": [50, 60]})
    blinding = draws(tiny)[0]
    assert not (blinding.visible & tiny.batch.mask).any()


def test_without_masking_every_bin_is_visible() -> None:
    tiny = make(masking={"probability": 0.0})
    assert all(blinding.visible.all() for blinding in draws(tiny))


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_closed_loop_trials_run_to_their_end_in_a_share_that_rises(progress: float) -> None:
    tiny = make(masking={"probability": 0.0, "closed_loop": 0.4})
    drawn = draws(tiny, progress)
    for blinding in drawn:
        own, bins = blinding.own_body & tiny.batch.mask, tiny.batch.mask.sum(1)
        assert blinding.visible.all()
        assert not own[:, 0].any()  # the first bin is where it all starts
        last = own[torch.arange(len(bins)), bins - 1]
        assert torch.equal(own.any(1), last)
        assert torch.all((own[:, 1:] != own[:, :-1]).sum(1) <= 1 + (bins < own.shape[1]))
    assert share([blinding.own_body.any(1) for blinding in drawn]) == pytest.approx(0.4 * progress, abs=0.03)
    if progress == 1:
        ever = torch.stack([blinding.own_body for blinding in drawn]).any(0) & tiny.batch.mask
        assert torch.equal(ever[:, 1:], tiny.batch.mask[:, 1:])


def test_scored_weights_average_to_what_was_observed() -> None:
    """Coordinated dropout scores what it hides, so weighted that the expected likelihood is the whole one."""
    tiny = make(dropout={"kind": "coordinated", "share": 0.4})
    mean = torch.stack([blinding.scored for blinding in draws(tiny)]).mean(0)
    observed = tiny.batch.observed.double()
    assert torch.count_nonzero(mean[observed == 0]) == 0
    torch.testing.assert_close(mean.sum() / observed.sum(), torch.tensor(1.0).double(), rtol=0, atol=0.01)
    torch.testing.assert_close(mean[observed == 1], torch.ones(int(observed.sum())).double(), rtol=0, atol=0.35)


def test_an_entry_is_either_shown_or_scored_and_held_out_units_always_count() -> None:
    tiny = make(dropout={"kind": "coordinated", "share": 0.4})
    for blinding in draws(tiny)[:20]:
        view = tiny.view(
            keep=blinding.keep,
            keep_scale=blinding.keep_scale,
            visible=blinding.visible,
            show_neural=blinding.show_neural,
            show_body=blinding.show_body,
        )
        assert torch.count_nonzero(view.neural * blinding.scored) == 0
        held_out = tiny.batch.observed & ~tiny.batch.encodable[:, None]
        assert torch.all(blinding.scored[held_out] == 1)


def test_without_dropout_everything_observed_is_scored_once() -> None:
    tiny = make(dropout={"share": 0.0})
    for blinding in draws(tiny)[:20]:
        assert blinding.keep is None
        assert torch.equal(blinding.scored, tiny.batch.observed.double())


def test_input_dropout_hides_entries_and_scores_them_all() -> None:
    tiny = make(dropout={"share": 0.4})
    for blinding in draws(tiny)[:20]:
        assert blinding.keep is not None
        assert not blinding.keep.all()
        assert torch.equal(blinding.scored, tiny.batch.observed.double())


def test_kept_entries_stand_for_the_dropped_ones() -> None:
    tiny = make(dropout={"kind": "coordinated", "share": 0.4})
    kept = share([blinding.keep for blinding in draws(tiny)])
    assert kept == pytest.approx(0.6, abs=0.01)
    assert draws(tiny)[0].keep_scale * 0.6 == pytest.approx(1.0)


def test_whole_modalities_are_hidden_at_times_and_never_both() -> None:
    drawn = draws(make())
    assert share([~blinding.show_neural for blinding in drawn]) == pytest.approx(0.1, abs=0.02)
    assert share([~blinding.show_body for blinding in drawn]) == pytest.approx(0.2, abs=0.02)
    assert all((blinding.show_neural | blinding.show_body).all() for blinding in drawn)


@pytest.mark.parametrize(("inputs", "neural", "body"), [(["neural"], True, False), (["behavior"], False, True)])
def test_a_modality_the_spec_leaves_out_is_never_shown(inputs: list[str], neural: bool, body: bool) -> None:
    for blinding in draws(make(inputs=inputs))[:20]:
        assert torch.all(blinding.show_neural == neural)
        assert torch.all(blinding.show_body == body)


def test_the_generator_alone_decides() -> None:
    tiny = make()
    first, again = draws(tiny)[3], draws(tiny)[3]
    assert torch.equal(first.visible, again.visible)
    assert torch.equal(first.scored, again.scored)
