"""The whole of a run's model: generative loop, encoder and causal head, sized by spec and layout."""

from __future__ import annotations

import torch

from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.encoder import CausalHead, Encoder
from ncyber_cli.model.build import build_model
from ncyber_cli.model.layout import Layout
from ncyber_cli.spec import Spec


def assemble(spec: Spec, layout: Layout, generator: torch.Generator) -> NeuroModel:
    """The untrained model in the spec's dtype; all random weights come from `generator`."""
    loop = build_model(spec.model, layout, generator)
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
            n_latent=n_latent,
            n_objective=n_objective,
            n_control=n_control,
            hidden=spec.inference.hidden,
            bin_s=layout.bin_s,
            bidirectional=spec.inference.encoder == "bidirectional",
        )
        sizes = {"latents": n_latent, "objectives": n_objective, "controls": n_control, "actuator": n_control}
        causal = CausalHead(spec.inference.hidden, sizes)
    with torch.no_grad():
        encoder.body_mean.copy_(torch.tensor(layout.body_mean))
        encoder.body_sd.copy_(torch.tensor(layout.body_sd))
        encoder.body_step_sd.copy_(torch.tensor(layout.body_step_sd))
    return NeuroModel(loop, encoder, causal).to(torch.float64 if spec.training.dtype == "float64" else torch.float32)
