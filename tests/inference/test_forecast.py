from dataclasses import replace

import torch
from tiny import Tiny, make_tiny

from ncyber_cli.data.batches import Batch
from ncyber_cli.inference.forecast import Outset, forecast_body, outset
from ncyber_cli.inference.trial_noise import TrialKey

START, HORIZON = 6, 8


def _outset(tiny: Tiny, batch: Batch, rows: list[int] | None = None) -> Outset:
    rows = list(range(len(batch.session))) if rows is None else rows
    keys = [TrialKey("a", "s", str(row)) for row in rows]
    return outset(tiny.model, batch, tiny.spec.inference, keys, torch.full((len(rows),), START))


def _forecast(tiny: Tiny, begin: Outset, objective: torch.Tensor | None = None) -> torch.Tensor:
    goal = begin.objective if objective is None else objective
    return forecast_body(tiny.model, begin, goal, HORIZON, samples=3, seed=0)


def test_nothing_recorded_after_the_start_enters() -> None:
    tiny = make_tiny("reach_jump")
    later = torch.arange(tiny.batch.mask.shape[1]) > START
    other = replace(
        tiny.batch,
        observation=torch.where(later[:, None], tiny.batch.observation + 3, tiny.batch.observation),
        body=torch.where(later[:, None], tiny.batch.body + 1.0, tiny.batch.body),
    )
    found = [_forecast(tiny, _outset(tiny, batch)) for batch in (tiny.batch, other)]
    assert torch.equal(found[0], found[1])


def test_the_objective_is_what_the_body_is_drawn_to() -> None:
    tiny = make_tiny("reach")
    begin = _outset(tiny, tiny.batch)
    right = torch.tensor([5.0, 0.0], dtype=begin.objective.dtype).expand_as(begin.objective)
    difference = _forecast(tiny, begin, right) - _forecast(tiny, begin, -right)
    assert bool((difference[:, -1, 0] > 0).all())


def test_company_changes_nothing() -> None:
    tiny = make_tiny("reach")
    together = _forecast(tiny, _outset(tiny, tiny.batch))
    rows = [1, 2]
    alone = Batch(**{name: values[rows] for name, values in vars(tiny.batch).items()})
    torch.testing.assert_close(_forecast(tiny, _outset(tiny, alone, rows)), together[rows])


def test_without_neurons_neurons_do_not_matter() -> None:
    tiny = make_tiny("reach")
    keys = [TrialKey("a", "s", str(row)) for row in range(len(tiny.batch.session))]
    bins = torch.full((len(keys),), START)
    other = replace(tiny.batch, observation=tiny.batch.observation.flip(0))
    goals = [
        outset(tiny.model, batch, tiny.spec.inference, keys, bins, sources="behavior").objective
        for batch in (tiny.batch, other)
    ]
    assert torch.equal(goals[0], goals[1])


def test_a_goal_with_a_velocity_moves_on() -> None:
    tiny = make_tiny("reach_moving")
    begin = _outset(tiny, tiny.batch)
    right = torch.tensor([0.0, 0.0, 5.0, 0.0], dtype=begin.objective.dtype).expand_as(begin.objective)
    difference = _forecast(tiny, begin, right) - _forecast(tiny, begin, -right)
    assert bool((difference[:, -1, 0] > 0).all())
