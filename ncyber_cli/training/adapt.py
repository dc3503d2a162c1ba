"""New animals in a fitted model: what is shared stays, what is theirs begins where the known animals say it should.

Readouts are fitted to the latents that are inferred from few trials, under the prior that the known neurons make: first
to principal components, turned to the model's basis, then to the model's own latents. Read-ins are predicted from the
readouts: how the encoder uses a neuron follows from what the neuron reads, and that law is fitted to the known neurons.
Embeddings and deviations start at the prior's mean.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.recording import TRAIN
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.encoder import ReadIn
from ncyber_cli.model.layout import Layout
from ncyber_cli.model.readout_prior import ReadoutPrior
from ncyber_cli.spec import Inference, Spec
from ncyber_cli.training.checkpoint import Checkpoint
from ncyber_cli.training.common_basis import AreaBasis, SessionAlignment
from ncyber_cli.training.describe_latents import MOST_TRIALS, mean_latents
from ncyber_cli.training.own_parts import own_names, train_own_parts_only
from ncyber_cli.training.try_rotations import try_rotations
from ncyber_cli.training.warm_start import aligned, start_sessions

_OF_DATA = ("animals", "sessions", "n_unit", "residual_scale", "body_start", "floor")  # what new sessions bring along
_ROUNDS, _NEWTON = 2, 100  # latents depend on readouts, but hardly: a second round changes little
_RIDGE = 0.05  # of the law of read-ins, as a share of its inputs' variance


def adapted_layout(parent: Layout, measured: Layout) -> Layout:
    """The layout of new sessions in a fitted model: its scales and sizes, their names and numbers.

    It has no basis of its own: what is known of the latents is known of the parent's sessions.
    """
    return replace(parent, latent_basis=[], **{name: getattr(measured, name) for name in _OF_DATA})


def adopt(model: NeuroModel, parent: Checkpoint, layout: Layout) -> None:
    """Make `model`, of this `layout`, ready to learn what belongs to its sessions and nothing else."""
    train_own_parts_only(model)
    readout = parent.model_state["loop.emission.readout"] * parent.model_state["loop.emission.latent_mask"]
    known = torch.cat([readout[index, : len(each.unit_id)] for index, each in enumerate(parent.layout.sessions)])
    known_areas = [area for each in parent.layout.sessions for area in each.unit_area]
    prior = ReadoutPrior(known, known_areas, [each.unit_area for each in layout.sessions], layout.n_unit)
    model.loop.readout_prior = prior.to(model.loop.initial_mean)


def begin_adapted(
    model: NeuroModel,
    parent: Checkpoint,
    layout: Layout,
    cohort: Cohort,
    spec: Spec,
    seed: int,
    device: torch.device | str = "cpu",
) -> list[SessionAlignment]:
    """Adopt `model` and set all its weights; how its sessions were turned. `device` tries what is uncertain."""
    known = assemble(parent.spec, parent.layout, torch.Generator().manual_seed(0))
    known.load_state_dict(parent.model_state)
    basis = [AreaBasis.from_plain(plain) for plain in parent.layout.latent_basis]

    def begin(turned: Sequence[SessionAlignment]) -> NeuroModel:
        another = copy.deepcopy(model)
        _begin(another, known, parent, layout, cohort, turned)
        return another.to(device)

    alignments = try_rotations(aligned(model, cohort, basis), begin, cohort, spec, seed)
    _begin(model, known, parent, layout, cohort, alignments)
    return alignments


def _begin(
    model: NeuroModel,
    known: NeuroModel,
    parent: Checkpoint,
    layout: Layout,
    cohort: Cohort,
    alignments: Sequence[SessionAlignment],
) -> None:
    """All weights of `model`, of which only what belongs to the sessions will learn; `known` is the parent's model."""
    own, state = own_names(model), model.state_dict()
    shared = {name: parent.model_state[name] for name in state if name not in own}
    model.load_state_dict({**state, **shared})
    if model.readers is not None:
        model.readers.ready = False
    _as_the_known_are(model, known, parent.layout)
    adopt(model, parent, layout)
    start_sessions(model, cohort, alignments)
    _predict_read_ins(model, known, cohort, parent.layout)
    for _ in range(_ROUNDS):
        _refit_readouts(model, cohort, parent.spec.inference)
        _predict_read_ins(model, known, cohort, parent.layout)


@torch.no_grad()
def _as_the_known_are(model: NeuroModel, known: NeuroModel, layout: Layout) -> None:
    """What has no prior and no start from data begins at the mean of the known animals and neurons."""
    for name, table in known.loop.emission.named_parameters():
        if name not in ("readout", "offset") and not name.startswith("drift."):
            rows = torch.cat([table[index, : len(each.unit_id)] for index, each in enumerate(layout.sessions)])
            target = model.loop.emission.get_parameter(name)
            target.copy_(rows.mean(0).expand_as(target))
    if model.loop.body is not None and known.loop.body is not None:
        scale, usual = model.loop.body.residual, known.loop.body.residual.scale.log().mean(0).exp()
        scale.scale.copy_(usual.expand_as(scale.scale).maximum(scale.floor))


def _refit_readouts(model: NeuroModel, cohort: Cohort, inference: Inference) -> None:
    """Readout and offset with the largest posterior density, given the latents inferred from training trials."""
    emission, prior = model.loop.emission, model.loop.readout_prior
    assert prior is not None
    picks = [cohort.picks(TRAIN, index)[:MOST_TRIALS] for index in range(len(cohort.sessions))]
    latents = [mean_latents(model, cohort, index, each[:, 1], inference) for index, each in enumerate(picks)]
    batch = cohort.batch(np.concatenate(picks))
    latent = torch.cat([torch.from_numpy(_fitted(each, batch.mask.shape[1])) for each in latents]).to(batch.observation)
    optimizer = torch.optim.LBFGS([emission.readout, emission.offset], max_iter=_NEWTON, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        predictor = emission.predictor(latent, batch.session)
        density = emission.log_density(batch.observation, batch.observed, predictor, batch.session)
        posterior = torch.where(batch.observed, density, 0.0).sum() + prior(emission.readout * emission.latent_mask)
        loss = -posterior / batch.observed.sum()
        loss.backward()
        return float(loss.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    optimizer.zero_grad()


def _fitted(values: NDArray[np.float64], n_time: int) -> NDArray[np.float64]:
    """Cut to so many bins, or padded with zeros."""
    return np.pad(values, ((0, 0), (0, max(0, n_time - values.shape[1])), (0, 0)))[:, :n_time]


@torch.no_grad()
def _predict_read_ins(model: NeuroModel, known: NeuroModel, cohort: Cohort, layout: Layout) -> None:
    """Weights into the encoder, and into the causal reader, by the law that the known neurons follow."""
    encodable = [~torch.tensor(each.held_out) for each in layout.sessions]
    new = [torch.from_numpy(~session.held_out) for session in cohort.sessions]
    inputs = torch.cat([_tuning(known, index, kept) for index, kept in enumerate(encodable)])
    for target, source in _tables(model, known):
        wanted = torch.cat([len(kept) * source[i, : len(kept)][kept] for i, kept in enumerate(encodable)])
        law = _ridge(inputs.double(), wanted.double()).to(target)
        target.zero_()
        for index, kept in enumerate(new):
            units = kept.nonzero()[:, 0]
            target[index, units] = _tuning(model, index, kept) @ law / len(kept)
    for part, other in zip(_read_ins(model), _read_ins(known), strict=True):
        part.offset.copy_(other.offset.mean(0).expand_as(part.offset))


def _read_ins(model: NeuroModel) -> list[ReadIn]:
    return [part for part in model.modules() if isinstance(part, ReadIn)]


def _tables(model: NeuroModel, known: NeuroModel) -> list[tuple[Tensor, Tensor]]:
    """(session, unit, ...) weights to be predicted, and those of the known sessions."""
    paired = [(model.encoder.latent_path, known.encoder.latent_path)]
    paired += [(new.weight, old.weight) for new, old in zip(_read_ins(model), _read_ins(known), strict=True)]
    return [(target.data, source.data) for target, source in paired]


def _tuning(model: NeuroModel, session: int, kept: Tensor) -> Float[Tensor, "neuron n_latent"]:
    """What a standardised observation of each kept neuron says of the latents: its score, to first order."""
    emission = model.loop.emission
    tables = emission.readout[session], model.encoder.unit_scale[session], emission.log_linear_units()[session]
    readout, scale, log_linear = (table[: len(kept)][kept] for table in tables)
    return readout * torch.where(log_linear, scale, 1 / scale)[:, None]


def _ridge(inputs: Tensor, wanted: Tensor) -> Tensor:
    gram = inputs.T @ inputs
    penalty = _RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    solved: Tensor = torch.linalg.solve(gram + penalty, inputs.T @ wanted)
    return solved
