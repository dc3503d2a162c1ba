"""What can be done to a fitted animal: each function takes its loop and gives a changed copy."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ncyber_cli.model.body import PointMass, muscle_lag
from ncyber_cli.model.closed_loop import ClosedLoop
from ncyber_cli.model.messages import Edge


def latents_of(loop: ClosedLoop, areas: Sequence[str]) -> Bool[Tensor, " n_latent"]:
    """Which latents belong to these areas."""
    brain = loop.brain.areas
    chosen = torch.tensor([name in areas for name in brain.names])
    return chosen[brain.latent_area()].to(loop.initial_mean.device)


def silence_units(loop: ClosedLoop, units: Bool[Tensor, "session unit"]) -> ClosedLoop:
    """These units emit nothing. What their areas no longer do in the loop is `Scene.silent`'s business."""
    changed = deepcopy(loop)
    changed.emission.silence(units)
    return changed


def cut_edges(loop: ClosedLoop, edges: Sequence[Edge]) -> ClosedLoop:
    """Nothing passes along these directed edges (from, to). Raises ValueError for an edge that the brain lacks."""
    changed = deepcopy(loop)
    if changed.brain.messages is None:
        raise ValueError("the brain has a single area")
    changed.brain.messages.cut(edges)
    return changed


def load_body(loop: ClosedLoop, load: Float[Tensor, " n_animal"]) -> ClosedLoop:
    """Each animal's mass is `load` times what it was, and its brain does not know. Only a point mass has a mass."""
    changed = deepcopy(loop)
    assert isinstance(changed.body, PointMass)
    changed.body.load = load.to(loop.initial_mean)
    return changed


def set_lag(loop: ClosedLoop, lag_s: float) -> ClosedLoop:
    """Every animal's muscle lags by `lag_s` seconds; 0 takes the lag away."""
    changed = deepcopy(loop)
    assert changed.body is not None
    changed.body.lag = muscle_lag(lag_s, len(loop.brain.individuals.animals.mean))
    if changed.body.lag is not None:
        changed.body.lag.to(loop.initial_mean)
    return changed


def scale_lag(loop: ClosedLoop, factor: float) -> ClosedLoop:
    """Every animal's muscle lags `factor` times as long; the muscle has a lag."""
    changed = deepcopy(loop)
    assert changed.body is not None
    assert changed.body.lag is not None
    changed.body.lag.scale(factor)
    return changed


def scale_noise(loop: ClosedLoop, factor: float) -> ClosedLoop:
    """The body's noise is `factor` times as large."""
    changed = deepcopy(loop)
    assert changed.body is not None
    changed.body.residual.scale *= factor
    return changed


def set_delay(loop: ClosedLoop, delay_s: float) -> ClosedLoop:
    """Every animal senses its body `delay_s` seconds late, and its brain knows."""
    changed = deepcopy(loop)
    assert changed.environment is not None
    changed.environment.hold_delay(delay_s)
    return changed


def with_embedding_of(loop: ClosedLoop, animal: int, towards: int | None = None, share: float = 0.0) -> ClosedLoop:
    """Every animal's brain has the embedding of one of them, or one between, or beyond, two of them.

    `share` is how far it lies on the way to `towards`. Readout, controller and body stay each animal's own.
    """
    changed = deepcopy(loop)
    mean = changed.brain.individuals.animals.mean
    one = mean.data[animal]
    chosen = one if towards is None else torch.lerp(one, mean.data[towards], share)
    mean.data = chosen.expand_as(mean).clone()
    return changed
