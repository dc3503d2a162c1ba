"""What a run found of a reaching animal, against its truth and beside the nulls: one plain mapping per animal.

Scores are of test trials. "raw" has no map fitted to the truth, "mapped" an affine one from training trials.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from reach_animal import AFTER_GO, Floats, Inferred, Mask, ReachAnimal

from ncyber_cli.data.recording import TEST, TRAIN
from ncyber_cli.outputs.metrics import (
    Examples,
    co_bps,
    control_r2,
    expected_bits_per_spike,
    fit_affine,
    interval_coverage,
    mean_counts,
    objective_r2_by_time,
    r2,
)
from ncyber_cli.outputs.metrics.nulls import BehaviorAlone, EndPoint, HandPosition, SmoothedSpikes
from ncyber_cli.worlds.reach_neurons import MAX_RATE_HZ

FROM_GO_S = (-0.2, -0.1, -0.04, 0.0, 0.04, 0.1, 0.2, 0.3)
FROM_CUE_S = (0.0, 0.2, 0.24, 0.28, 0.32, 0.36, 0.4)  # it reaches the brains after 0.06 to 0.18 s
FROM_JUMP_S = (0.0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.3)  # after the jump's arrival at the brain
_NEWTON_STEPS = 8  # from a good start each squares the error
_NEIGHBOUR_BINS = 4  # how far apart an error and the noise that it chases may lie


@dataclass(frozen=True)
class Runs:
    """What was inferred of one animal; the ablation may be left out."""

    smoothed: Inferred
    causal: Inferred
    behavior_causal: Inferred  # the same run, shown behaviour alone
    mlp: Inferred | None
    mlp_causal: Inferred | None


def score(animal: ReachAnimal, runs: Runs, constants: Mapping[str, Any]) -> dict[str, Any]:
    """Every figure of one animal; `constants` are those of the run's summary.json."""
    return {
        "animal": animal.name,
        "test_trials": len(animal.rows(TEST)),
        "objective": objective_scores(animal, runs),
        "objective_causal": causal_courses(animal, runs),
        "control": control_scores(animal, runs.smoothed),
        "rates": rate_scores(animal, runs.smoothed),
        "constants": {"found": dict(constants), "true": dict(animal.truth.constants)},
        "calibration": calibration(animal, runs),
        "chased_noise": chased_noise(animal, runs.smoothed),
    }


def objective_scores(animal: ReachAnimal, runs: Runs) -> dict[str, Any]:
    """R2 of the objective from go + 4 bins on, by kind of trial, the model's beside the nulls'."""
    target = animal.true["objective"]
    estimates = {
        "model": runs.smoothed.mean["objectives"],
        "end point": animal.null(EndPoint(), target),
        "hand position": animal.null(HandPosition(), target),
        "smoothed spikes, mapped": animal.null(SmoothedSpikes(causal=False), target),
    }
    estimates |= _of_mlp(animal, runs.mlp)
    return {
        bins: {name: _r2(animal, target, estimate, mask) for name, estimate in estimates.items()}
        for bins, mask in reach_bins(animal).items()
    }


def reach_bins(animal: ReachAnimal) -> dict[str, Mask]:
    """Bins (trial, time) from go + 4 on, all of them and by kind of trial."""
    late = animal.after(animal.events_s["go_time"], AFTER_GO)
    arrival = animal.events_s["jump_arrival_time"]
    jump, pulse = ~np.isnan(arrival), ~np.isnan(animal.events_s["pulse_time"])
    return {
        "all": late,
        "before the jump": late & animal.ended_by(arrival),
        "after the jump": late & animal.after(arrival, 0),
        "jump trials": late & jump[:, None],
        "pulse trials": late & (pulse & ~jump)[:, None],
        "plain trials": late & (~pulse & ~jump)[:, None],
    }


def _of_mlp(animal: ReachAnimal, found: Inferred | None) -> dict[str, Floats]:
    """The ablation's objective as it is, and through an affine map fitted on training trials."""
    if found is None:
        return {}
    raw, train = found.mean["objectives"], animal.rows(TRAIN)
    target, mask = animal.true["objective"], animal.session.mask
    mapped = fit_affine(Examples(raw[train], target[train], mask[train]))(raw)
    return {"mlp": raw, "mlp, mapped": mapped}


def causal_courses(animal: ReachAnimal, runs: Runs) -> dict[str, Any]:
    """R2 of the causal objective over time, beside its nulls; "behaviour alone" is the run shown no neurons."""
    target = animal.true["objective"]
    estimates = {
        "model": runs.causal.mean["objectives"],
        "behaviour alone": runs.behavior_causal.mean["objectives"],
        "behaviour ridge, mapped": animal.null(BehaviorAlone(causal=True), target),
        "smoothed spikes, mapped": animal.null(SmoothedSpikes(causal=True), target),
        "hand position": animal.null(HandPosition(), target),
        "end point (not causal)": animal.null(EndPoint(), target),
        "model, smoothed (not causal)": runs.smoothed.mean["objectives"],
    }
    estimates |= _of_mlp(animal, runs.mlp_causal)
    courses = {
        "cue": (animal.events_s["target_on_time"], FROM_CUE_S),
        "go": (animal.events_s["go_time"], FROM_GO_S),
        "jump's arrival": (animal.events_s["jump_arrival_time"], FROM_JUMP_S),
    }
    return {event: _course(animal, estimates, event_s, at_s) for event, (event_s, at_s) in courses.items()}


def _course(
    animal: ReachAnimal, estimates: Mapping[str, Floats], event_s: Floats, at_s: tuple[float, ...]
) -> dict[str, Any]:
    test, session = animal.rows(TEST), animal.session
    found: dict[str, Any] = {"at_s": list(at_s)}
    for name, estimate in estimates.items():
        course = objective_r2_by_time(
            animal.true["objective"][test],
            estimate[test],
            time_s=session.time_s[test],
            event_s=event_s[test],
            at_s=np.array(at_s),
            bin_s=session.bin_s,
            mask=session.mask[test],
        )
        found["trials"] = course.trials.tolist()
        found[name] = [_rounded(value) for value in course.r2]
    return found


def control_scores(animal: ReachAnimal, found: Inferred) -> dict[str, Any]:
    """R2 of command and actuator in m/s^2, and of a ridge from smoothed spikes to each."""
    test, mask = animal.rows(TEST), animal.session.mask
    scores: dict[str, Any] = {}
    for name, group in (("control", "controls"), ("actuator", "actuator")):
        target = animal.true[name]
        ridge = animal.null(SmoothedSpikes(causal=False), target)
        scores[name] = {
            "model": _rounded(control_r2(target[test], found.mean[group][test], mask[test])),
            "smoothed spikes, mapped": _rounded(control_r2(target[test], ridge[test], mask[test])),
        }
    return scores


def rate_scores(animal: ReachAnimal, found: Inferred) -> dict[str, Any]:
    """Expected bits per spike as a share of the true rates' own, and co-smoothing beside the true rates'."""
    session, test = animal.session, animal.rows(TEST)
    true, mask, held_out = animal.true["rate"][test], session.mask[test], session.held_out
    estimates = {
        "model": found.mean["rates"][test],
        "true latents": from_true_latents(animal, saturating=True)[test],
        "true latents, log-linear": from_true_latents(animal, saturating=False)[test],
    }
    units = {"all": np.ones_like(held_out), "seen": ~held_out, "held out": held_out}
    shares = {
        name: {which: _rounded(_share(true[..., some], rates[..., some], mask)) for which, some in units.items()}
        for name, rates in estimates.items()
    }
    counts = session.observation.astype(np.float64)
    train = animal.rows(TRAIN)
    mean = mean_counts(counts[train], session.mask[train])
    bits = {
        name: _rounded(co_bps(counts[test], rates, held_out, training_mean=mean, mask=mask).bits)
        for name, rates in {**estimates, "true rates": true}.items()
    }
    return {"share_of_expected_bits": shares, "co_bps": bits}


def from_true_latents(animal: ReachAnimal, *, saturating: bool) -> Floats:
    """Rates (trial, time, unit) of whoever knows the true latents but none of the neurons' private fluctuations.

    The readout is fitted to the true rates of training trials: log-linear, as a Poisson emission has it, or with
    the saturation of the world's neurons, which is the most that any function of the latents can know.
    """
    most = MAX_RATE_HZ * animal.session.bin_s
    latent, rate, rows = animal.true["latent"], animal.true["rate"], animal.rows(TRAIN)
    mask = animal.session.mask[rows]
    drive = rate / (1 - rate / most) if saturating else rate
    start = fit_affine(Examples(latent[rows], np.log(drive[rows]), mask))
    inputs = np.concatenate([np.ones((int(mask.sum()), 1)), latent[rows][mask]], axis=1)
    weights = np.concatenate([start.offset[None], start.weights])
    if not saturating:
        weights = _poisson_regression(inputs, rate[rows][mask], weights)
    driven: Floats = np.exp(latent @ weights[1:] + weights[0])
    return driven / (1 + driven / most) if saturating else driven


def _poisson_regression(inputs: Floats, expected: Floats, weights: Floats) -> Floats:
    """The log-linear rates with the largest Poisson likelihood, by Newton's method from `weights` (input, unit)."""
    for _ in range(_NEWTON_STEPS):
        rate = np.exp(inputs @ weights)
        gradient = inputs.T @ (expected - rate)
        curvature = np.einsum("ni,nu,nj->uij", inputs, rate, inputs, optimize=True)
        weights = weights + np.linalg.solve(curvature, gradient.T[..., None])[..., 0].T
    return weights


def _share(true: Floats, rates: Floats, mask: Mask) -> float:
    return expected_bits_per_spike(true, rates, mask=mask) / expected_bits_per_spike(true, true, mask=mask)


def calibration(animal: ReachAnimal, runs: Runs) -> dict[str, Any]:
    """Share of the true objective inside the 50 % and 90 % intervals."""
    test, target = animal.rows(TEST), animal.true["objective"]
    late = reach_bins(animal)["all"]
    cases = {
        "smoothed, from go + 4 bins": (runs.smoothed, late),
        "causal, from go + 4 bins": (runs.causal, late),
        "causal, all bins": (runs.causal, animal.session.mask),
    }
    found = {}
    for name, (inferred, mask) in cases.items():
        mean, sd = inferred.mean["objectives"][test], inferred.sd["objectives"][test]
        coverage = interval_coverage(target[test], mean, sd, mask[test])
        found[name] = {f"{level:.0%}": _rounded(share) for level, share in coverage.items()}
    return found


def chased_noise(animal: ReachAnimal, found: Inferred) -> dict[str, float]:
    """Largest correlation, over a few bins, of the objective's error with what pushed the hand: the cheap optimum.

    The motor noise is the recorded acceleration less the true actuator and the recorded force.
    """
    session, test = animal.session, animal.rows(TEST)
    error = found.mean["objectives"] - animal.true["objective"]
    force = session.force / animal.truth.constants["mass_kg"]
    push = _between(animal.true["actuator"] + force)
    velocity = session.body[..., 2:].astype(np.float64)
    noise = np.diff(velocity, axis=1, prepend=np.nan) / session.bin_s - push
    late = reach_bins(animal)["all"][test]
    forced = late & (np.abs(force[test]).max(-1) > 0)
    return {
        "motor_noise": _rounded(_largest_correlation(error[test], noise[test], late)),
        "force": _rounded(_largest_correlation(error[test], force[test], forced)),
    }


def _between(values: Floats) -> Floats:
    """Averages of each bin and the one before; NaN in the first."""
    before = np.concatenate([np.full_like(values[:, :1], np.nan), values[:, :-1]], axis=1)
    averages: Floats = 0.5 * (values + before)
    return averages


def _largest_correlation(error: Floats, cause: Floats, mask: Mask) -> float:
    """Over shifts of `error` by a few bins to either side of its cause; NaN where either never varies."""
    found = [float("nan")]
    for shift in range(-_NEIGHBOUR_BINS, _NEIGHBOUR_BINS + 1):
        moved = np.roll(error, -shift, axis=1)
        keep = mask & np.roll(mask, -shift, axis=1) & ~np.isnan(moved + cause).any(-1)
        x, y = moved[keep].ravel(), cause[keep].ravel()
        if len(x) and x.std() > 0 and y.std() > 0:
            found.append(float(np.corrcoef(x, y)[0, 1]))
    return max(found[1:] or found, key=abs)


def _r2(animal: ReachAnimal, target: Floats, estimate: Floats, mask: Mask) -> float:
    test = animal.rows(TEST)
    return _rounded(r2(target[test], estimate[test], mask[test]))


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
