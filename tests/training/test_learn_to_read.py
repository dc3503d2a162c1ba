"""The readers learn, nothing else does, and the same seed teaches the same."""

from __future__ import annotations

import torch
from tiny import Tiny, make_tiny

from ncyber_cli.data.recording import TRAIN, VALIDATION
from ncyber_cli.inference.simulated_trials import simulate_trials
from ncyber_cli.training.learn_to_read import learn_to_read


def taught(kind: str = "reach_jump", epochs: int = 40) -> Tiny:
    tiny = make_tiny(kind)
    spec = tiny.spec.model_copy(update={"training": tiny.spec.training.model_copy(update={"epochs": epochs})})
    cohort = tiny.cohort
    assert learn_to_read(tiny.model, cohort, cohort.picks(TRAIN), cohort.picks(VALIDATION), spec, 0, lambda: False)
    return tiny


def density(tiny: Tiny) -> float:
    """Mean log density of the causal objective in trials that nobody has learned from, nats a bin."""
    trials = simulate_trials(tiny.model, tiny.batch, tiny.spec.inference, torch.Generator().manual_seed(9))
    assert tiny.model.readers is not None
    with torch.no_grad():
        found = tiny.model.readers.causal(tiny.view(trials.batch))["objectives"]
    return float(found.log_density(trials.truth["objectives"])[tiny.batch.mask.T].mean())


def test_only_the_readers_change_and_they_learn() -> None:
    untaught, tiny = make_tiny("reach_jump"), taught()
    before = untaught.model.state_dict()
    changed = {name for name, value in tiny.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("readers.") for name in changed)
    assert tiny.model.readers is not None
    assert tiny.model.readers.ready
    assert density(tiny) > density(untaught) + 0.5


def test_the_same_seed_teaches_the_same() -> None:
    one, other = (taught(epochs=2).model.state_dict() for _ in range(2))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_without_an_objective_there_is_nothing_to_read() -> None:
    tiny = taught("brain_only", epochs=1)
    assert tiny.model.readers is None


def test_a_signal_ends_the_lesson() -> None:
    tiny = make_tiny("reach_jump")
    cohort = tiny.cohort
    stopped = learn_to_read(
        tiny.model, cohort, cohort.picks(TRAIN), cohort.picks(VALIDATION), tiny.spec, 0, lambda: True
    )
    assert not stopped
    assert tiny.model.readers is not None
    assert not tiny.model.readers.ready
