"""The whole of a run's model: generative loop, encoder, causal heads and readers, sized by spec and layout."""

from __future__ import annotations

import torch

from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.encoder import Encoder
from ncyber_cli.inference.mixture import MixtureHead
from ncyber_cli.inference.prototype_head import PrototypeHead
from ncyber_cli.inference.readers import CausalReader, Readers, SmoothedReader
from ncyber_cli.model.build import build_model
from ncyber_cli.model.layout import Layout
from ncyber_cli.model.window_start import WindowStart
from ncyber_cli.spec import Spec


def assemble(spec: Spec, layout: Layout, generator: torch.Generator) -> NeuroModel:
    """The untrained model in the spec's dtype; all random weights come from `generator`."""
    loop = build_model(spec.model, layout, generator)
    if spec.window_bins is not None:
        loop.window_start = WindowStart(loop.brain.areas.size)
    n_latent = loop.brain.areas.size
    n_objective = 0 if loop.objective is None else loop.objective.size
    n_control = 0 if loop.controller is None else loop.controller.n_control
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        encoder = Encoder(
            n_session=len(layout.sessions),
            n_unit=layout.n_unit,
            n_body=len(layout.body_names),
            n_input=len(layout.input_names),
            n_force=layout.n_force,
            n_latent=n_latent,
            n_objective=n_objective,
            n_control=n_control,
            hidden=spec.inference.hidden,
            bin_s=layout.bin_s,
            bidirectional=spec.inference.encoder == "bidirectional",
        )
        causal_latent = MixtureHead(spec.inference.hidden, spec.inference.hidden, n_latent, components=1)
        prototypes = None if loop.objective is None else loop.objective.prototypes
        causal_prototypes = None if prototypes is None else PrototypeHead(spec.inference.hidden, prototypes.most)
        readers = _readers(encoder, n_objective, n_control) if n_objective else None
    with torch.no_grad():
        encoder.body_mean.copy_(torch.tensor(layout.body_mean))
        encoder.body_sd.copy_(torch.tensor(layout.body_sd))
        encoder.body_step_sd.copy_(torch.tensor(layout.body_step_sd))
        encoder.force_size.copy_(torch.tensor(layout.force_size))
        encoder.input_mean.copy_(torch.tensor(layout.input_mean))
        encoder.input_sd.copy_(torch.tensor(layout.input_sd))
    dtype = torch.float64 if spec.training.dtype == "float64" else torch.float32
    return NeuroModel(loop, encoder, causal_latent, causal_prototypes, readers).to(dtype)


def _readers(encoder: Encoder, n_objective: int, n_control: int) -> Readers:
    n_session, n_unit, hidden = encoder.read_in.weight.shape
    sizes = {"objectives": n_objective, "controls": n_control, "actuator": n_control}
    causal = CausalReader(n_session, n_unit, encoder.read_in.rest.in_features, hidden, sizes)
    return Readers(causal, SmoothedReader(encoder.head.in_features, hidden, n_objective))
