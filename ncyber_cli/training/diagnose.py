"""Why steps are refused: the first session, trial and bin in which something is not finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ncyber_cli.data.batches import Batch, Cohort, Picks
from ncyber_cli.data.recording import TRAIN
from ncyber_cli.errors import NumericalError
from ncyber_cli.inference.elbo import NeuroModel, Noise, body_residuals, draw_noise, sample_posterior
from ncyber_cli.spec import Spec
from ncyber_cli.training.blinding import draw_blinding, shown
from ncyber_cli.training.step import loss_of

_SEED = 1
_LOWER = "lower training.learning_rate, or fit with training.dtype: float64"
_CHECK = f"check the recorded values there; if they are sound, {_LOWER}"


def numerical_error(model: NeuroModel, cohort: Cohort, picks: Picks, spec: Spec) -> NumericalError:
    """Run the refused batch `picks` once more, unblinded, and say where it stops being finite."""
    batch = cohort.batch(picks).to(model.loop.initial_mean.device)
    for name, finite in _data_is_finite(batch).items():
        if place := _first(cohort, picks, finite):
            return NumericalError(f"{name} is not finite", where=place, remedy="check the recorded values there")
    weights = [name for name, value in model.state_dict().items() if not torch.isfinite(value).all()]
    if weights:  # a value out of all proportion has got into a scale
        what = f"the model's own {weights[0]} is not finite, and this is the most extreme value it was given"
        return NumericalError(what, where=_most_extreme(cohort), remedy=_CHECK)
    for name, finite in _terms_are_finite(model, batch, spec).items():
        if place := _first(cohort, picks, finite):
            return NumericalError(f"{name} is not finite", where=place, remedy=_CHECK)
    return _gradient_error(model, cohort, picks, spec)


def _data_is_finite(batch: Batch) -> dict[str, Tensor]:
    """Per kind of recorded value, whether every one of a bin is finite, (trial, time)."""
    values = {"neural activity": batch.observation, "behavior": batch.body}
    values |= {"an input": batch.input, "a force": batch.force}
    return {name: torch.isfinite(value).all(-1) for name, value in values.items()}


def _terms_are_finite(model: NeuroModel, batch: Batch, spec: Spec) -> dict[str, Tensor]:
    """Per term of the ELBO, whether it is finite in each bin, (trial, time)."""
    with torch.no_grad():
        show_neural, show_body = shown(batch, spec.inference)
        view = model.encoder.view(batch, show_neural=show_neural, show_body=show_body)
        posterior = sample_posterior(model, batch, view, _noise(model, batch))
        loop, trajectory = model.loop, posterior.trajectory
        latent = trajectory.latent.transpose(0, 1)
        predictor = loop.emission.predictor(latent, batch.session, batch.when)
        density = loop.emission.log_density(batch.observation, batch.observed, predictor, batch.session)
        density = torch.where(batch.observed, density, 0.0)
        terms = {"the latent": latent, "the likelihood of neural activity": density}
        if loop.body is not None:
            residual, recorded = body_residuals(loop, batch, trajectory)
            each = loop.body.residual.log_density(residual, batch.animal, recorded)
            terms["the likelihood of behavior"] = each[:, :, None]
        kl = posterior.kl_latent + posterior.kl_objective
        terms["the cost of the posterior"] = kl.T[:, :, None]
    # Bins after a trial's end are no evidence of anything.
    return {name: torch.isfinite(value).all(-1) | ~batch.mask for name, value in terms.items()}


def _noise(model: NeuroModel, batch: Batch) -> Noise:
    generator = torch.Generator(batch.mask.device).manual_seed(_SEED)
    return draw_noise(model, batch.mask.shape[1], len(batch.session), generator)


def _first(cohort: Cohort, picks: Picks, finite: Tensor) -> str | None:
    """Where the earliest bin that is not finite lies; the recursion carries it to every later one."""
    bad = (~finite).cpu().numpy()
    if not bad.any():
        return None
    first_bin = np.where(bad.any(1), bad.argmax(1), bad.shape[1])
    row = int(first_bin.argmin())
    before = picks[row, 2] if picks.shape[1] > 2 else 0  # of a window
    return f"{_trial(cohort, picks[row])}, bin {int(before + first_bin[row])}"


def _most_extreme(cohort: Cohort) -> str:
    """Where a recorded value of the training trials is largest beside the mean size of its channel."""
    largest, place = -1.0, ""
    for index, session in enumerate(cohort.sessions):
        for values in (session.observation, session.body, session.input, session.force):
            trials = np.flatnonzero(session.split == TRAIN)
            sizes = [_size(session.mask[trial], values[trial]) for trial in trials]
            mean = np.mean([size.mean(axis=0) for size in sizes], axis=0)
            for trial, size in zip(trials, sizes, strict=True):
                beside = (size / np.where(mean > 0, mean, 1.0)).max(axis=1, initial=0.0)
                if beside.max() > largest:
                    largest = float(beside.max())
                    place = f"{_trial(cohort, np.array([index, trial]))}, bin {int(beside.argmax())}"
    return place


def _size(inside: NDArray[np.bool_], values: NDArray[Any]) -> NDArray[np.float64]:
    """Absolute values (time, feature) of a trial, zero where missing; infinity is the largest number there is."""
    return np.abs(np.nan_to_num(np.where(inside[:, None], values, 0).astype(np.float64)))


def _trial(cohort: Cohort, pick: NDArray[np.int64]) -> str:
    session = cohort.sessions[pick[0]]
    return f"{session.path.name}: animal {session.animal}, session {session.session}, trial {session.trial_id[pick[1]]}"


def _gradient_error(model: NeuroModel, cohort: Cohort, picks: Picks, spec: Spec) -> NumericalError:
    """Every value was finite: look for a trial whose gradient is not, with the blinding of a training step."""
    device = model.loop.initial_mean.device
    generator = torch.Generator(device).manual_seed(_SEED)
    for pick in picks:
        batch = cohort.batch(pick[None]).to(device)
        blinding = draw_blinding(batch, spec.inference, generator)
        loss, _, _ = loss_of(model, batch, blinding, _noise(model, batch), 1.0, len(picks))
        model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        names = [n for n, p in model.named_parameters() if p.grad is not None and not torch.isfinite(p.grad).all()]
        if names or not torch.isfinite(loss):
            what = f"the gradient of {names[0]} is not finite" if names else "the loss is not finite"
            return NumericalError(what, where=f"{_trial(cohort, pick)}, all bins", remedy=_LOWER)
    return NumericalError("step after step was not finite", where=_trial(cohort, picks[0]), remedy=_LOWER)
