"""What a model makes of recorded trials: means and standard deviations of everything it infers.

`posterior_samples` draws from the filter posterior, and forecasts where the encoder is stopped early;
`moments_of` sums up what it draws; `causal_moments` asks the causal heads and readers, whose bin t knows nothing
recorded after t.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ncyber_cli.data.batches import Batch
from ncyber_cli.inference.bin_centres import at_bin_centres
from ncyber_cli.inference.elbo import NeuroModel, Posterior, sample_posterior
from ncyber_cli.inference.encoder import View
from ncyber_cli.inference.objective_posterior import prototype_probability
from ncyber_cli.inference.readers import reading_of
from ncyber_cli.inference.trial_noise import TrialKey, trial_noise
from ncyber_cli.model.closed_loop import ClosedLoop
from ncyber_cli.model.emission import Emission
from ncyber_cli.spec import Inference

PROTOTYPES = "prototypes"  # key of the prototypes' probabilities, (trial, time, state), beside the groups of a file
Sources = Literal["both", "neural", "behavior"]
_NODES = 16  # of Gauss-Hermite; exact to 1e-8 for log-linear rates whose log has an sd up to 2


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation; NaN where there is none (the sd of a single sample, a body never recorded)."""

    mean: Float[Tensor, "trial time feature"]
    sd: Float[Tensor, "trial time feature"]


@torch.no_grad()
def posterior_moments(
    model: NeuroModel,
    batch: Batch,
    inference: Inference,
    keys: Sequence[TrialKey],
    *,
    samples: int,
    seed: int,
    sources: Sources = "both",
    seen_bins: int | None = None,
) -> dict[str, Moments]:
    """Moments over `posterior_samples`, which has the same arguments."""
    draws = posterior_samples(
        model, batch, inference, keys, samples=samples, seed=seed, sources=sources, seen_bins=seen_bins
    )
    return moments_of(draws, model, batch)


@torch.no_grad()
def moments_of(
    draws: Iterable[dict[str, Float[Tensor, "trial time feature"]]], model: NeuroModel, batch: Batch
) -> dict[str, Moments]:
    """Mean and sd of every group over draws of `batch`, which are forgotten as they come.

    Draws share the fitted readouts; what is not known of those is in the sd of rates alone.
    """
    running: dict[str, _RunningMoments] = {}
    for groups in draws:
        for name, values in groups.items():
            running.setdefault(name, _RunningMoments(values)).add(values)
    moments = {name: found.finish() for name, found in running.items()}
    return {**moments, "rates": _with_readouts(model.loop, batch, moments["latents"].mean, moments["rates"])}


def posterior_samples(
    model: NeuroModel,
    batch: Batch,
    inference: Inference,
    keys: Sequence[TrialKey],
    *,
    samples: int,
    seed: int,
    sources: Sources = "both",
    seen_bins: int | None = None,
) -> Iterator[dict[str, Float[Tensor, "trial time feature"]]]:
    """Joint posterior samples of every group that the model has (see results_layout.GROUPS), one at a time.

    `sources` narrows what the run's encoder is shown (`inference.inputs`). With `seen_bins` it sees so many bins
    of each trial, and the rest is the model's own rollout under the given inputs, its own body fed back. The body
    is the recorded one (sd 0), and the model's own where none is recorded or seen. `keys` name the trials of
    `batch`; with `seed` they fix the noise. Memory does not grow with `samples`.
    """
    shown = restrict(batch, sources)
    n_time = batch.mask.shape[1]
    seen = None if seen_bins is None else torch.arange(n_time, device=batch.mask.device) < seen_bins
    view = view_of(model, shown, inference, sources, seen_bins)
    own_body = None if seen is None else ~seen.expand_as(batch.mask)
    with torch.no_grad():
        messages, reading = model.encoder(view), None
        if model.loop.objective is not None and model.readers is not None and model.readers.ready:
            reading = reading_of(model.readers, model.loop.objective, messages, view.seen.T)
    for sample in range(samples):
        with torch.no_grad():
            noise = trial_noise(model, keys, n_time, seed, sample)
            drawn = sample_posterior(model, shown, view, noise, own_body=own_body, messages=messages, reading=reading)
            groups = sample_groups(model, shown, drawn, seen)
        yield groups


@torch.no_grad()
def causal_moments(
    model: NeuroModel, batch: Batch, inference: Inference, *, sources: Sources = "both"
) -> dict[str, Moments]:
    """Filtering moments from the causal heads and reader: nothing recorded after a bin enters them.

    The body is the recorded one, NaN where it is not recorded.
    """
    shown = restrict(batch, sources)
    view = view_of(model, shown, inference, sources)
    state, loop = model.encoder(view).causal_state, model.loop
    latents = Moments(*(values.transpose(0, 1) for values in model.causal_latent(state).moments()))
    moments = {"latents": latents}
    if loop.objective is not None and loop.controller is not None and model.readers is not None:
        centre, unit = loop.objective.mean, loop.objective.sd
        for name, found in model.readers.causal(view).items():
            mean, sd = (values.transpose(0, 1) for values in found.moments())
            if name == "objectives":
                moments[name] = Moments(centre + unit * mean, unit * model.readers.causal_width * sd)
            else:
                moments[name] = Moments(loop.controller.control_scale * mean, loop.controller.control_scale * sd)
    law = None if loop.objective is None else loop.objective.prototype_law()
    if law is not None and model.causal_prototypes is not None:
        probability = model.causal_prototypes(state, len(law.position)).exp().transpose(0, 1)
        moments[PROTOTYPES] = Moments(probability, torch.full_like(probability, torch.nan))
    rates = rate_moments(loop.emission, latents, batch.session, batch.when)
    rates = Moments(loop.at_floor(rates.mean, batch.session, batch.input), rates.sd)
    moments["rates"] = _with_readouts(loop, batch, latents.mean, rates)
    if loop.body is not None:
        missing = torch.where(shown.body_recorded, 0.0, torch.nan).to(shown.body.dtype)
        moments["body"] = Moments(shown.body + missing, missing)
    return moments


def restrict(batch: Batch, sources: Sources) -> Batch:
    """The batch without what may not be seen: from neurons alone, the recorded body is not fed back either."""
    if sources == "neural":
        nothing = torch.zeros_like(batch.body_recorded)
        return replace(batch, body=torch.zeros_like(batch.body), body_recorded=nothing)
    if sources == "behavior":
        nothing = torch.zeros_like(batch.observed)
        return replace(batch, observation=torch.zeros_like(batch.observation), observed=nothing)
    return batch


def view_of(
    model: NeuroModel, batch: Batch, inference: Inference, sources: Sources, seen_bins: int | None = None
) -> View:
    """What the encoder is shown of the first `seen_bins` bins of each trial (default all)."""
    always = torch.ones_like(batch.session, dtype=torch.bool)
    length = None if seen_bins is None else batch.mask.sum(1).clamp(max=seen_bins)
    return model.encoder.view(
        batch,
        show_neural=always & ("neural" in inference.inputs and sources != "behavior"),
        show_body=always & ("behavior" in inference.inputs and sources != "neural"),
        length=length,
    )


def sample_groups(
    model: NeuroModel, batch: Batch, posterior: Posterior, seen: Bool[Tensor, " time"] | None = None
) -> dict[str, Float[Tensor, "trial time feature"]]:
    """One posterior sample as the groups of a results file, at bin centres; `seen` False are forecast bins.

    Prior `switching` has PROTOTYPES besides: their probabilities given the sample's objective.
    """
    trajectory = posterior.trajectory
    acting = {"controls": trajectory.control, "objectives": posterior.objective}
    groups = {
        "latents": trajectory.latent,
        "actuator": trajectory.actuator,
        **{name: None if steps is None else at_bin_centres(steps, batch.mask) for name, steps in acting.items()},
        "body": trajectory.body,
    }
    told = batch.mask if seen is None else batch.mask & seen
    groups[PROTOTYPES] = prototype_probability(model.loop.objective, posterior.chain, told, batch.mask)
    found = {name: values.transpose(0, 1) for name, values in groups.items() if values is not None}
    emission = model.loop.emission
    predictor = emission.predictor(found["latents"], batch.session, batch.when)
    found["rates"] = emission.rate(predictor, batch.session)
    if seen is not None and emission.has_variance:
        # A forecast begins where the unit's own slow noise was last seen.
        known = batch.observed & batch.encodable[:, None] & seen[:, None]
        private, _ = emission.private(batch.observation, known, predictor, batch.session)
        found["rates"] = found["rates"] + torch.where(seen[:, None], 0.0, private)
    found["rates"] = model.loop.at_floor(found["rates"], batch.session, batch.input)
    return found


def rate_moments(
    emission: Emission, latents: Moments, session: Int[Tensor, " trial"], when: Float[Tensor, " trial"] | None = None
) -> Moments:
    """Rates under independent Gaussian latents, by quadrature over each unit's predictor.

    Of log-linear units this is exp(mean + variance / 2), of linear ones C x + d.
    """
    readout = (emission.readout * emission.latent_mask)[session]
    centre = emission.predictor(latents.mean, session, when)
    spread = torch.bmm(latents.sd.square(), readout.square().transpose(1, 2)).sqrt()
    return _by_quadrature(lambda predictor: emission.rate(predictor, session), centre, spread)


def _with_readouts(loop: ClosedLoop, batch: Batch, latent: Tensor, rates: Moments) -> Moments:
    """The rates, more uncertain by what is not known of their readouts; the mean stays that of the fitted ones."""
    emission = loop.emission
    if emission.uncertainty is None:
        return rates

    def rate(predictor: Tensor) -> Tensor:
        return loop.at_floor(emission.rate(predictor, batch.session), batch.session, batch.input)

    spread = emission.uncertainty.sd(latent, batch.session)
    own = _by_quadrature(rate, emission.predictor(latent, batch.session, batch.when), spread)
    return Moments(rates.mean, torch.hypot(rates.sd, own.sd))


def _by_quadrature(rate: Callable[[Tensor], Tensor], centre: Tensor, spread: Tensor) -> Moments:
    """Mean and sd of the rate of a Gaussian predictor (Gauss-Hermite)."""
    mean, square = torch.zeros_like(centre), torch.zeros_like(centre)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    for node, weight in zip(nodes.tolist(), (weights / weights.sum()).tolist(), strict=True):
        value = rate(centre + node * spread)
        mean += weight * value
        square += weight * value.square()
    return Moments(mean, (square - mean.square()).clamp(min=0).sqrt())


class _RunningMoments:
    """Mean and sd of a stream of equally shaped tensors (Welford 1962)."""

    def __init__(self, like: Tensor) -> None:
        self.count, self.mean, self.squares = 0, torch.zeros_like(like), torch.zeros_like(like)

    def add(self, values: Tensor) -> None:
        self.count += 1
        before = values - self.mean
        self.mean += before / self.count
        self.squares += before * (values - self.mean)

    def finish(self) -> Moments:
        if self.count < 2:
            return Moments(self.mean, torch.full_like(self.mean, torch.nan))
        return Moments(self.mean, (self.squares / (self.count - 1)).sqrt())
