"""Small sessions, specs and models that the tests of the core share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.data.batches import Batch, Cohort
from ncyber_cli.data.recording import TEST, TRAIN, VALIDATION, Session
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.inference.elbo import ElboTerms, NeuroModel, Noise, Posterior, elbo_terms, sample_posterior
from ncyber_cli.inference.encoder import View
from ncyber_cli.model.prototypes import PrototypeLaw
from ncyber_cli.spec import Spec
from ncyber_cli.training.measure import measure

BIN_S = 0.02
_POINT_MASS = {"body": {"kind": "point_mass"}, "environment": {"kind": "feedback", "delay_s": 0.05}}
_GOAL = {"controller": {"kind": "setpoint"}, **_POINT_MASS}

_WIRES = {"delay_s": "learned", "price": {"kind": "l1"}}

# What the program can be asked for, as the `model` of a spec.
MODELS: dict[str, dict[str, Any]] = {
    "brain_only": {},
    "low_rank_rnn": {"brain": {"kind": "low_rank_rnn", "latents": 3, "hidden": 8}},
    "several_areas": {"brain": {"kind": "residual_mlp", "latents": {"M1": 3, "PMd": 2}, "hidden": 8, **_WIRES}},
    "reach": {**_GOAL, "objective": {"prior": "slow"}},
    "reach_jump": {**_GOAL, "objective": {"prior": "jump"}},
    "reach_switching": {**_GOAL, "objective": {"prior": "switching", "prototypes": [2, 3]}},
    "reach_static": {**_GOAL, "objective": {"prior": "static"}, "emission": {"kind": "negative_binomial"}},
    "mlp_controller": {**_GOAL, "controller": {"kind": "mlp", "hidden": 4}},
    "linear_body": {
        "controller": {"kind": "setpoint"},
        "body": {"kind": "linear", "controls": 2},
        "environment": {"kind": "feedback", "delay_s": 0.05},
        "emission": {"kind": "gaussian"},
    },
    "reach_moving": {**_GOAL, "objective": {"prior": "moving"}},
    "lqr_moving": {**_GOAL, "controller": {"kind": "lqr"}, "objective": {"prior": "moving"}},
    "lqr": {**_GOAL, "controller": {"kind": "lqr"}, "objective": {"prior": "jump"}},
    "lqr_linear_body": {
        "controller": {"kind": "lqr", "horizon_s": 0.6},
        "body": {"kind": "linear", "controls": 2},
        "environment": {"kind": "feedback", "delay_s": 0.05},
    },
    "several_kinds": {
        "brain": {"kind": "residual_mlp", "latents": {"M1": 3, "PMd": 2}, "hidden": 8},
        "emission": {"calcium": {"kind": "gaussian"}},
        "drift": True,
    },
    "goal_in_the_brain": {"controller": {"kind": "setpoint"}, "emission": {"kind": "zero_inflated_gamma"}},
}
SIGNALS = {"gaussian": "calcium", "zero_inflated_gamma": "events"}


def make_spec(model: dict[str, Any], inference: dict[str, Any] | None = None, dtype: str = "float64") -> Spec:
    """A spec around `model`; a model with a body gets position and velocity."""
    model = {"brain": {"kind": "residual_mlp", "latents": 3, "hidden": 8}, **model}
    behavior = {"position": {"source": "p", "unit": "m"}, "velocity": {"source": "v", "unit": "m/s"}}
    emission = model.get("emission", {})
    signals = [SIGNALS.get(emission.get("kind", ""), "spikes"), *(emission if "kind" not in emission else ())]
    return Spec.model_validate(
        {
            "version": 1,
            "data": {
                "bin_s": BIN_S,
                "trials": {},
                "neural": [{"source": f"units_{signal}", "kind": signal} for signal in signals],
                "behavior": behavior if "body" in model else {},
            },
            "model": model,
            "inference": {"hidden": 8, **(inference or {})},
            "training": {"dtype": dtype},
        }
    )


def smooth_latent(
    rng: np.random.Generator, trials: int, bins: int, size: int = 2, *, locked: bool = False
) -> NDArray[np.float64]:
    """Oscillations of unit variance, (trial, time, size): known and low-dimensional; `locked` to the trial's start."""
    time, phase = np.arange(bins)[None, :, None], rng.uniform(0, 2 * np.pi, (trials, 1, size))
    phase = 0.1 * phase if locked else phase
    speed = 2 * np.pi * (1 + np.arange(size)) / 25
    return np.sqrt(2) * np.sin(speed * time + phase)


def make_session(
    animal: str = "a",
    name: str = "s",
    *,
    trials: int = 10,
    bins: int = 20,
    units: int = 6,
    held_out: int = 1,
    signal: str = "spikes",
    mean_count: float = 0.5,
    shortest: int | None = None,
    locked: bool = False,
    inputs: int = 1,
    seed: int = 0,
) -> Session:
    """A session of smooth latents; areas alternate M1, PMd; trials are 60 % train, 20 % validation, 20 % test.

    Signal `several` is spikes in M1 and calcium in PMd.
    """
    rng = np.random.default_rng(seed)
    latent = smooth_latent(rng, trials, bins, locked=locked)
    log_rate = np.log(mean_count) + latent @ rng.normal(0, 0.5, (2, units))
    observation: NDArray[Any]
    if signal == "spikes":
        observation = rng.poisson(np.exp(log_rate)).astype(np.uint8)
    else:
        observation = (log_rate + 0.3 * rng.normal(size=log_rate.shape)).astype(np.float32)
        observation[0, 3, 1] = np.nan
        if signal == "several":
            observation[..., ::2] = rng.poisson(np.exp(log_rate[..., ::2]))
        if signal == "events":
            observation = np.where(rng.uniform(size=log_rate.shape) < 0.5, np.exp(observation), 0).astype(np.float32)
    length = np.full(trials, bins) if shortest is None else rng.integers(shortest, bins + 1, trials)
    length[0] = bins
    mask = np.arange(bins) < length[:, None]
    observation[~mask] = 0
    velocity = 0.5 * latent
    position = BIN_S * np.cumsum(velocity, axis=1)
    body = np.concatenate([position, velocity], axis=2).astype(np.float32)
    body[1, 5:7] = np.nan
    force = np.where(rng.uniform(size=(trials, bins, 2)) < 0.05, 1.0, 0.0)
    split = np.full(trials, TRAIN, np.int8)
    split[trials * 6 // 10 :], split[trials * 8 // 10 :] = VALIDATION, TEST
    return Session(
        animal=animal,
        session=name,
        path=Path(name),
        sha256=name,
        bin_s=BIN_S,
        unit_id=[str(i) for i in range(units)],
        unit_area=["M1" if i % 2 == 0 else "PMd" for i in range(units)],
        unit_kind=[("spikes" if i % 2 == 0 else "calcium") if signal == "several" else signal for i in range(units)],
        held_out=np.arange(units) >= units - held_out,
        trial_id=[str(i) for i in range(trials)],
        split=split,
        time_s=np.where(mask, BIN_S * np.arange(bins), np.nan),
        event_s=np.zeros(trials),
        mask=mask,
        observation=observation,
        body=body,
        body_names=["position_0", "position_1", "velocity_0", "velocity_1"],
        body_units=["m", "m", "m/s", "m/s"],
        input=rng.normal(size=(trials, bins, inputs)).astype(np.float32),
        input_names=[f"input_{i}" for i in range(inputs)],
        force=(force * mask[:, :, None]).astype(np.float32),
    )


@dataclass(frozen=True)
class Tiny:
    """A model on two animals with sessions of different width, and a batch of all their trials."""

    spec: Spec
    cohort: Cohort
    model: NeuroModel
    batch: Batch

    def view(self, batch: Batch | None = None, **hidden: Any) -> View:
        return self.model.encoder.view(self.batch if batch is None else batch, **hidden)

    def score(self, noise: Noise, batch: Batch | None = None, **hidden: Any) -> tuple[ElboTerms, Posterior]:
        """One posterior sample of the batch, and its ELBO terms with every observed entry scored."""
        batch = self.batch if batch is None else batch
        posterior = sample_posterior(self.model, batch, self.view(batch, **hidden), noise)
        return elbo_terms(self.model, batch, posterior, batch.observed.to(batch.observation.dtype)), posterior


def make_tiny(kind: str = "reach", *, dtype: str = "float64", inference: dict[str, Any] | None = None) -> Tiny:
    """The model `kind` of MODELS with weights moved off their start, so that every path of it carries something."""
    spec = make_spec(MODELS[kind], inference, dtype)
    signal = spec.data.neural[0].kind if len(spec.data.neural) == 1 else "several"
    sessions = [
        make_session("a", "s0", trials=4, bins=16, units=6, signal=signal, shortest=10, seed=1),
        make_session("b", "s1", trials=3, bins=16, units=4, signal=signal, shortest=10, seed=2),
    ]
    if "body" not in MODELS[kind]:
        sessions = [without_body(session) for session in sessions]
    cohort = Cohort(sessions, [s.animal for s in sessions], dtype=getattr(torch, dtype))
    generator = torch.Generator().manual_seed(0)
    model = assemble(spec, measure(spec, cohort), generator)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    place_prototypes(model)
    return Tiny(spec, cohort, model, cohort.batch(cohort.picks()))


def place_prototypes(model: NeuroModel) -> None:
    """Prior `switching` in its final form."""
    objective = model.loop.objective
    if objective is not None and objective.prototypes is not None:
        step_variance = (objective.transition().variance / objective.sd.square()).detach()
        position = step_variance.new_tensor([[1.0, 0.0], [-0.5, 0.8], [0.0, -1.0]])
        leave = step_variance.new_tensor(0.05)
        objective.prototypes.place(PrototypeLaw(position, 5 * step_variance.sqrt(), step_variance, leave))


def without_body(session: Session) -> Session:
    """The same neurons where no behaviour was recorded."""
    empty = np.zeros((*session.mask.shape, 0), np.float32)
    return Session(**{**session.__dict__, "body": empty, "body_names": [], "body_units": [], "force": empty})
