"""New neurons are read as the known ones are: in proportion to what they read, give or take what the known show."""

from __future__ import annotations

import torch
from tiny import make_tiny

from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.read_in_law import ReadInLaw

N_KNOWN, N_NEW, N_PADDED, N_LATENT, SPREAD = 400, 5, 7, 3, 0.3


def tables(model: NeuroModel) -> list[torch.Tensor]:
    return [model.encoder.latent_path, model.encoder.read_in.weight]


def resized(model: NeuroModel, n_unit: int, seed: int) -> NeuroModel:
    """One session of `n_unit` Poisson neurons, all of whose weights are random."""
    generator = torch.Generator().manual_seed(seed)
    emission, encoder = model.loop.emission, model.encoder
    for part, name in (
        (emission, "readout"),
        (encoder, "latent_path"),
        (encoder.read_in, "weight"),
    ):
        shape = (1, n_unit, getattr(part, name).shape[2])
        setattr(part, name, torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64)))
    emission.offset = torch.nn.Parameter(torch.zeros(1, n_unit, dtype=torch.float64))
    emission.latent_mask = torch.ones(1, n_unit, N_LATENT, dtype=torch.float64)
    encoder.unit_scale = 0.5 + torch.rand(1, n_unit, generator=generator, dtype=torch.float64)
    return model


def lab(held_out: int = 0) -> tuple[ReadInLaw, NeuroModel, list[torch.Tensor]]:
    """Known neurons that follow a law with a spread, others whose weights are random, and the law's matrices."""
    known, new = (resized(make_tiny("brain_only").model, n, n) for n in (N_KNOWN, N_PADDED))
    generator = torch.Generator().manual_seed(0)
    matrices = []
    with torch.no_grad():
        tuning = known.loop.emission.readout * known.encoder.unit_scale[:, :, None]
        for table in tables(known):
            size = (N_LATENT, table.shape[2])
            matrices.append(torch.randn(size, generator=generator, dtype=torch.float64))
            noise = SPREAD * torch.randn(table.shape, generator=generator, dtype=torch.float64)
            table.copy_((tuning @ matrices[-1] + noise) / N_KNOWN)
    shown = [unit == held_out for unit in range(N_NEW)]
    return ReadInLaw(known, [[False] * N_KNOWN], [shown], N_PADDED), new, matrices


def test_new_neurons_are_read_by_the_law_of_the_known() -> None:
    law, new, matrices = lab()
    law.predict(new)
    tuning = new.loop.emission.readout * new.encoder.unit_scale[:, :, None]
    for table, matrix in zip(tables(new), matrices, strict=True):
        torch.testing.assert_close(N_NEW * table[0, 1:N_NEW], (tuning @ matrix)[0, 1:N_NEW], rtol=0.1, atol=0.1)
        assert not table[0, 0].any()  # held out
        assert not table[0, N_NEW:].any()


def test_a_departure_costs_what_it_would_be_worth_among_known_neurons() -> None:
    law, new, _ = lab()
    law.predict(new)
    assert law.log_density(new).abs() < 1e-20
    with torch.no_grad():
        new.encoder.read_in.weight[0, 1, 0] += 2 * SPREAD / N_NEW
    torch.testing.assert_close(law.log_density(new), torch.tensor(-2.0, dtype=torch.float64), rtol=0.2, atol=0.0)


def test_padded_and_held_out_units_cost_nothing_and_readouts_are_not_pulled() -> None:
    law, new, _ = lab()
    law.predict(new)
    with torch.no_grad():
        for table in tables(new):
            table[0, 0] += 1.0
            table[0, N_NEW:] += 1.0
    assert law.log_density(new).abs() < 1e-20
    with torch.no_grad():
        new.encoder.latent_path[0, 1] += 1.0
    law.log_density(new).backward()
    assert new.encoder.latent_path.grad is not None
    assert new.loop.emission.readout.grad is None
    assert not law.state_dict()
