"""What a connectome gives holds: no edge where it has none, signs whatever the weights, and strengths as a prior."""

from __future__ import annotations

from typing import Any

import torch
from tiny import Tiny, make_session, make_spec

from ncyber_cli.data.batches import Cohort
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.inference.elbo import draw_noise
from ncyber_cli.model.brain import Brain
from ncyber_cli.training.blinding import draw_blinding
from ncyber_cli.training.measure import measure
from ncyber_cli.training.schedule import make_optimizer
from ncyber_cli.training.step import train_step

AREAS = {"M1": 1, "PMd": 2}


def made(edges: list[dict[str, Any]], kind: str = "residual_mlp", **connectome: Any) -> Tiny:
    brain = {"kind": kind, "latents": AREAS, "connectome": {"edges": edges, **connectome}}
    spec = make_spec({"brain": brain | ({"hidden": 8} if kind != "linear" else {})})
    cohort = Cohort([make_session("a", "s", trials=4, bins=16, inputs=1)], ["a"], dtype=torch.float64)
    model = assemble(spec, measure(spec, cohort), torch.Generator().manual_seed(0))
    model.loop.orient()
    return Tiny(spec, cohort, model, cohort.batch(cohort.picks()))


def trained(tiny: Tiny, steps: int = 8) -> Tiny:
    """After steps so large that unconstrained weights change sign."""
    optimizer = make_optimizer(tiny.model, 0.1, 0.0)
    n_trial, n_time = tiny.batch.mask.shape
    for seed in range(steps):
        generator = torch.Generator().manual_seed(seed)
        blinding = draw_blinding(tiny.batch, tiny.spec.inference, generator)
        train_step(
            tiny.model,
            optimizer,
            tiny.batch,
            blinding,
            draw_noise(tiny.model, n_time, n_trial, generator),
            1.0,
            n_trial,
        )
    return tiny


def effects(tiny: Tiny, states: int = 50) -> torch.Tensor:
    """d x' / d x at random states, (state, target latent, source latent), latents pointing where neurons fire more."""
    brain, emission = tiny.model.loop.brain, tiny.model.loop.emission
    weights = brain.at(None, torch.zeros(1, 1, dtype=torch.float64))
    up = (emission.readout * emission.latent_mask).sum((0, 1)).sign()
    drive = torch.zeros(1, brain.hidden, dtype=torch.float64)

    def step(latent: torch.Tensor) -> torch.Tensor:
        return brain.step(weights, latent[None], None, None, drive)[0]

    here = 2 * torch.randn(states, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    jacobians = torch.stack([torch.autograd.functional.jacobian(step, state) for state in here])  # type: ignore[no-untyped-call]
    return up[:, None] * jacobians * up


def test_an_edge_that_is_not_given_is_not_there() -> None:
    tiny = trained(made([{"source": "PMd", "target": "M1"}]))
    found = effects(tiny)
    assert not found[:, 1:, 0].any()
    assert found[:, 0, 1:].any()


def test_signs_hold_in_every_state_after_any_training() -> None:
    signed = [
        {"source": "M1", "target": "PMd", "sign": "inhibitory"},
        {"source": "PMd", "target": "M1", "sign": "excitatory"},
    ]
    for kind in ("residual_mlp", "linear", "low_rank_rnn"):
        found = effects(trained(made(signed, kind)))
        assert (found[:, 1:, 0].sum(1) <= 1e-12).all(), kind  # of M1 on the summed activity of PMd
        assert (found[:, 0, 1:] >= -1e-12).all(), kind
        assert (found[:, 0, 1:] > 1e-6).any(), kind


def norm(brain: Brain) -> torch.Tensor:
    messages = brain.messages
    assert messages is not None
    whole = messages.sent()[:, :, None] * messages.received()
    return whole.view(len(whole), len(messages.edges), messages.width, -1).sum(2).square().sum((0, 2))


def test_the_prior_is_that_of_the_edge_s_entries_and_shrinks_the_weak_one() -> None:
    given = [{"source": "M1", "target": "PMd", "strength": 0.1}, {"source": "PMd", "target": "M1", "strength": 1.9}]
    tiny = made(given)
    brain = tiny.model.loop.brain
    spread = torch.tensor([0.1, 1.9], dtype=torch.float64) / 3**0.5
    torch.testing.assert_close(brain.log_prior(), -0.5 * (norm(brain) / spread.square()).sum())
    before, after = norm(brain).detach(), norm(trained(tiny, 30).model.loop.brain).detach()
    assert after[0] / before[0] < 0.2 * after[1] / before[1]


def test_absent_edges_may_be_weak_in_place_of_off() -> None:
    tiny = made([{"source": "PMd", "target": "M1"}], absent=0.1)
    messages = tiny.model.loop.brain.messages
    assert messages is not None
    assert messages.edges == [("M1", "PMd"), ("PMd", "M1")]
    torch.testing.assert_close(messages.spread, torch.tensor([0.1, 1.0], dtype=torch.float64) / 3**0.5)


def test_a_brain_without_connectome_keeps_its_weights() -> None:
    spec = make_spec({"brain": {"kind": "residual_mlp", "latents": AREAS, "hidden": 8}})
    assert not any("sign" in name or "up" in name.split(".")[-1] for name in _names(spec))


def _names(spec: Any) -> list[str]:
    cohort = Cohort([make_session("a", "s", trials=4, bins=16)], ["a"], dtype=torch.float64)
    return list(assemble(spec, measure(spec, cohort), torch.Generator().manual_seed(0)).state_dict())
