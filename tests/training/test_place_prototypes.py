"""Prototypes are placed where paths rest, as many as held-out paths ask for, and the fit goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fits import STEPS, make_job, run
from test_resume import assert_same_run, run_until
from tiny import make_tiny

from ncyber_cli.model.objective import Objective
from ncyber_cli.model.prototypes import PrototypeLaw
from ncyber_cli.training.checkpoint import load, restore
from ncyber_cli.training.place_prototypes import Paths, PrototypeChoice, densities, fewest, fit_law, place_prototypes

F64 = torch.float64
POSITION = torch.tensor([[1.0, 0.0], [-0.5, 0.8], [0.0, -1.0], [0.9, 1.1]], dtype=F64)


def objective() -> Objective:
    made = Objective("switching", torch.zeros(2), torch.ones(2), 0.02, 0.3, most_prototypes=6).double()
    made.anneal(1.0)
    return made


def true_law() -> PrototypeLaw:
    step_variance = objective().transition().variance.detach()
    return PrototypeLaw(POSITION, torch.full((2,), 0.06, dtype=F64), step_variance, torch.tensor(0.02, dtype=F64))


def paths(seed: int, trials: int = 40, bins: int = 100) -> Paths:
    """Drawn from a law of four prototypes and seen with the noise of a posterior."""
    law = true_law()
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(bins, trials, 2, generator=generator, dtype=F64)
    uniform = torch.rand(bins, trials, generator=generator, dtype=F64)
    length = 20 + (80 * torch.rand(trials, generator=generator)).long()
    return Paths(law.sample(noise, uniform, torch.full_like(noise, torch.nan)), torch.arange(bins) < length[:, None])


@pytest.mark.parametrize("seed", [0, 10])
def test_held_out_paths_ask_for_as_many_prototypes_as_there_are(seed: int) -> None:
    made = objective()
    scores = {number: densities(fit_law(paths(seed), number, made), paths(seed + 1)) for number in (2, 3, 4, 5, 6)}
    assert fewest(scores) == 4


def across(seen: Paths, bins: int = 2) -> Paths:
    """Each change spread over some bins more, in steps of one size."""
    path, masked = seen.objective.clone(), seen.mask.T
    jump = (path.diff(dim=0).norm(dim=-1) > 0.5) & masked[1:]
    for t, trial in jump.nonzero().tolist():
        if t >= bins:
            share = torch.arange(1, bins + 1, dtype=F64)[:, None] / (bins + 1)
            before, after = seen.objective[t - bins, trial], seen.objective[t + 1, trial]
            path[t - bins + 1 : t + 1, trial] = torch.lerp(before.expand(bins, -1), after.expand(bins, -1), share)
    return Paths(path, seen.mask)


@pytest.mark.parametrize("seed", [0, 10])
def test_changes_spread_over_several_bins_neither_merge_prototypes_nor_add_any(seed: int) -> None:
    made, seen = objective(), across(paths(seed))
    laws = {number: fit_law(seen, number, made) for number in (2, 3, 4, 5, 6)}
    assert fewest({number: densities(law, across(paths(seed + 1))) for number, law in laws.items()}) == 4
    nearest = torch.cdist(POSITION, laws[4].position)
    assert nearest.amin(1).max() < 0.05
    prototype, true = (law.smoothed(seen.objective, seen.mask).argmax(-1) for law in (laws[4], true_law()))
    assert (nearest.argmin(0)[prototype] == true)[seen.mask.T].double().mean() > 0.97


def test_a_number_within_the_error_of_the_best_is_preferred_if_it_is_smaller() -> None:
    noise = torch.randn(40, generator=torch.Generator().manual_seed(0))
    scores = {3: torch.zeros(40) - 1.0 + 0.1 * noise, 4: torch.zeros(40), 5: 0.01 + noise * 0.3}
    scores[5] = scores[5] - scores[5].mean() + 0.02
    assert fewest(scores) == 4
    assert fewest({2: torch.zeros(1), 3: torch.ones(1)}) == 3


def test_they_are_placed_where_the_paths_rest_and_leave_as_often() -> None:
    law = fit_law(paths(0), 4, objective())
    nearest = torch.cdist(POSITION, law.position)
    assert sorted(nearest.argmin(1).tolist()) == [0, 1, 2, 3]
    assert nearest.amin(1).max() < 0.05
    torch.testing.assert_close(law.spread, torch.full((2,), 0.06, dtype=F64), rtol=0.25, atol=0)
    assert law.leave.item() == pytest.approx(0.02, rel=0.3)


def test_the_most_visited_prototype_comes_first() -> None:
    seen = paths(0)
    law = fit_law(seen, 4, objective())
    share = law.smoothed(seen.objective, seen.mask) * seen.mask.T[:, :, None]
    visited = share.sum((0, 1))
    assert torch.equal(visited.argsort(descending=True), torch.arange(4))


def test_more_prototypes_than_places_are_no_error() -> None:
    still = Paths(torch.zeros(10, 3, 2, dtype=F64), torch.ones(3, 10, dtype=torch.bool))
    law = fit_law(still, 3, objective())
    assert torch.isfinite(law.position).all()
    assert torch.isfinite(densities(law, still)).all()


def test_the_choice_says_by_how_much() -> None:
    choice = PrototypeChoice(4, {3: -20.0, 4: 10.0, 5: 8.5})
    assert choice.words() == "4 (nats a trial: 3 -30.0, 5 -1.5)"
    assert PrototypeChoice(4, {4: 1.0}).words() == "4"


def test_the_model_gets_the_number_that_is_kept() -> None:
    tiny = make_tiny("reach_switching")
    picks = tiny.cohort.picks()
    choice = place_prototypes(tiny.model, tiny.cohort, picks, picks[:3], tiny.spec.inference, [2, 3])
    assert sorted(choice.nats_per_trial) == [2, 3]
    assert tiny.model.loop.objective is not None
    assert tiny.model.loop.objective.prototypes is not None
    assert tiny.model.loop.objective.prototypes.number == choice.kept


def test_a_fit_ends_with_prototypes_and_its_checkpoint_has_them(tmp_path: Path) -> None:
    job = make_job(tmp_path, "reach_switching")
    outcome = run(job)
    model = restore(load(tmp_path / "best.pt"))
    assert model.loop.objective is not None
    assert model.loop.objective.prototypes is not None
    assert outcome.starts[0].prototypes is not None
    assert model.loop.objective.prototypes.number == outcome.starts[0].prototypes.kept


@pytest.mark.parametrize("step", [2 * STEPS, 2 * STEPS + 1], ids=["as they are placed", "after"])
def test_a_fit_that_went_on_is_the_fit_that_was_never_stopped(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = (make_job(tmp_path / name, "reach_switching") for name in ("whole", "cut"))
    for job in (whole, cut):
        job.folder.mkdir()
    run(whole)
    run_until(cut, step, monkeypatch)
    run(cut, resume=True)
    assert_same_run(whole, cut)
