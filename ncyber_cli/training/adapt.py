"""New animals in a fitted model: what is shared stays, what is theirs begins where the known animals say it should.

Readouts are fitted to the latents that are inferred from few trials, under the priors that the known neurons make of
tuning and of mean rates: first to principal components, turned to the model's basis, then to the model's own latents.
What the trials leave open of them is kept. Read-ins are predicted from the readouts, by the law that the known neurons
follow, and stay near it while trials are few. Embeddings and deviations start at the prior's mean.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import block_diag
from torch import Tensor

from ncyber_cli.data.batches import Batch, Cohort
from ncyber_cli.data.recording import TRAIN
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.read_in_law import ReadInLaw
from ncyber_cli.model.layout import Layout
from ncyber_cli.model.mean_rate_prior import MeanRatePrior
from ncyber_cli.model.readout import Emission
from ncyber_cli.model.readout_prior import ReadoutPrior
from ncyber_cli.spec import Inference, Spec
from ncyber_cli.training.checkpoint import Checkpoint, restore
from ncyber_cli.training.common_basis import AreaBasis, SessionAlignment
from ncyber_cli.training.describe_latents import MOST_TRIALS, mean_latents
from ncyber_cli.training.own_parts import own_names, train_own_parts_only
from ncyber_cli.training.try_rotations import try_rotations
from ncyber_cli.training.warm_start import aligned, start_sessions

_OF_DATA = ("animals", "sessions", "n_unit", "residual_scale", "body_start", "floor")  # what new sessions bring along
_ROUNDS, _NEWTON = 2, 100  # latents depend on readouts, but hardly: a second round changes little
_CERTAIN = 1e6  # precision of what a unit does not read, and variance of what nothing is known of


def adapted_layout(parent: Layout, measured: Layout) -> Layout:
    """The layout of new sessions in a fitted model: its scales and sizes, their names and numbers.

    It has no basis of its own: what is known of the latents is known of the parent's sessions.
    """
    of_data = {name: getattr(measured, name) for name in _OF_DATA}
    return replace(parent, latent_basis=[], uncertain_readouts=True, **of_data)


def adopt(model: NeuroModel, parent: Checkpoint, layout: Layout) -> None:
    """Make `model`, of this `layout`, ready to learn what belongs to its sessions and nothing else."""
    _adopt(model, restore(parent), parent.layout, layout)


def _adopt(model: NeuroModel, known: NeuroModel, known_layout: Layout, layout: Layout) -> None:
    train_own_parts_only(model)
    loop = model.loop
    loop.readout_prior = _tuning_prior(known.loop.emission, known_layout, layout).to(loop.initial_mean)
    log_linear = loop.emission.log_linear_units().cpu()
    loop.mean_rate_prior = _rate_prior(known.loop.emission, known_layout, layout, log_linear).to(loop.initial_mean)
    known_held_out, held_out = ([each.held_out for each in one.sessions] for one in (known_layout, layout))
    model.read_in_law = ReadInLaw(known, known_held_out, held_out, layout.n_unit).to(loop.initial_mean)


def _tuning_prior(known: Emission, known_layout: Layout, layout: Layout) -> ReadoutPrior:
    readout = _rows(known.readout * known.latent_mask, known_layout)
    areas = [area for each in known_layout.sessions for area in each.unit_area]
    return ReadoutPrior(readout, areas, [each.unit_area for each in layout.sessions], layout.n_unit)


def _rate_prior(known: Emission, known_layout: Layout, layout: Layout, log_linear: Tensor) -> MeanRatePrior:
    """Of those units of the new sessions that are `log_linear`, by kind."""
    chosen = _rows(known.log_linear_units(), known_layout)
    readout, offset = (_rows(part, known_layout)[chosen] for part in (known.readout * known.latent_mask, known.offset))
    kinds = [kind for each in known_layout.sessions for kind in each.unit_kind]
    kinds = [kind for kind, one in zip(kinds, chosen.tolist(), strict=True) if one]
    prior = MeanRatePrior(*(moment.to(readout) for moment in _latent_moments(known_layout)))
    prior.learn(readout, offset, kinds, [each.unit_kind for each in layout.sessions], log_linear)
    return prior


def _rows(table: Tensor, layout: Layout) -> Tensor:
    """Rows of a (session, unit, ...) table, without those that are padding."""
    return torch.cat([table[index, : len(each.unit_id)] for index, each in enumerate(layout.sessions)]).detach()


def _latent_moments(layout: Layout) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the latents over training trials; those of different areas count as independent."""
    basis = [AreaBasis.from_plain(plain) for plain in layout.latent_basis]
    mean = torch.from_numpy(np.concatenate([area.mean for area in basis]))
    return mean, torch.from_numpy(block_diag(*(area.spread @ area.spread for area in basis)))


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
    known = restore(parent)
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
    _adopt(model, known, parent.layout, layout)
    start_sessions(model, cohort, alignments)
    assert model.read_in_law is not None
    model.read_in_law.predict(model)
    for _ in range(_ROUNDS):
        _refit_readouts(model, cohort, parent.spec.inference)
        model.read_in_law.predict(model)
    _note_uncertainty(model, cohort, parent.spec.inference)


@torch.no_grad()
def _as_the_known_are(model: NeuroModel, known: NeuroModel, layout: Layout) -> None:
    """What has no prior and no start from data begins at the mean of the known animals and neurons."""
    for name, table in known.loop.emission.named_parameters():
        if name not in ("readout", "offset") and not name.startswith("drift."):
            target = model.loop.emission.get_parameter(name)
            target.copy_(_rows(table, layout).mean(0).expand_as(target))
    if model.loop.body is not None and known.loop.body is not None:
        scale, usual = model.loop.body.residual, known.loop.body.residual.scale.log().mean(0).exp()
        scale.scale.copy_(usual.expand_as(scale.scale).maximum(scale.floor))


def _refit_readouts(model: NeuroModel, cohort: Cohort, inference: Inference) -> None:
    """Readout and offset with the largest posterior density, given the latents inferred from training trials."""
    emission = model.loop.emission
    latent, batch = _inferred(model, cohort, inference)
    optimizer = torch.optim.LBFGS([emission.readout, emission.offset], max_iter=_NEWTON, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        predictor = emission.predictor(latent, batch.session)
        density = emission.log_density(batch.observation, batch.observed, predictor, batch.session)
        posterior = torch.where(batch.observed, density, 0.0).sum() + model.loop.readout_log_prior()
        loss = -posterior / batch.observed.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    optimizer.zero_grad()


@torch.no_grad()
def _note_uncertainty(model: NeuroModel, cohort: Cohort, inference: Inference) -> None:
    """What training trials leave open of readouts and offsets; steps of the optimiser change little of it."""
    emission, prior, rates = model.loop.emission, model.loop.readout_prior, model.loop.mean_rate_prior
    assert prior is not None
    assert rates is not None
    assert emission.uncertainty is not None
    latent, batch = _inferred(model, cohort, inference)
    predictor = emission.predictor(latent, batch.session)
    information = torch.where(batch.observed, emission.information(predictor, batch.session), 0.0)
    never_read = torch.diag_embed((1 - emission.latent_mask) * _CERTAIN)
    precision = torch.nn.functional.pad(prior.of_units() + never_read, (0, 1, 0, 1))
    precision = precision + rates.curvature(emission.readout * emission.latent_mask)
    precision[..., -1, -1] += 1 / _CERTAIN
    for index, session in enumerate(cohort.sessions):
        rows, n_unit = batch.session == index, len(session.unit_id)
        told = information[rows].flatten(0, 1)[:, :n_unit]
        emission.uncertainty.set(index, latent[rows].flatten(0, 1), told, precision[index, :n_unit])


def _inferred(model: NeuroModel, cohort: Cohort, inference: Inference) -> tuple[Float[Tensor, "trial time n"], Batch]:
    """Latents of the training trials, and the trials."""
    picks = [cohort.picks(TRAIN, index)[:MOST_TRIALS] for index in range(len(cohort.sessions))]
    latents = [mean_latents(model, cohort, index, each[:, 1], inference) for index, each in enumerate(picks)]
    batch = cohort.batch(np.concatenate(picks))
    latent = torch.cat([torch.from_numpy(_fitted(each, batch.mask.shape[1])) for each in latents])
    return latent.to(batch.observation), batch


def _fitted(values: NDArray[np.float64], n_time: int) -> NDArray[np.float64]:
    """Cut to so many bins, or padded with zeros."""
    return np.pad(values, ((0, 0), (0, max(0, n_time - values.shape[1])), (0, 0)))[:, :n_time]
