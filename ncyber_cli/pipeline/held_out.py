"""What a fitted run is worth on trials that nothing before has touched: per animal, with the nulls beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.recording import TEST, TRAIN, VALIDATION, Session
from ncyber_cli.inference.posterior import posterior_moments
from ncyber_cli.outputs.metrics import Examples, behavior_r2
from ncyber_cli.outputs.summary import AnimalSummary, describe_objective
from ncyber_cli.pipeline.open_run import OpenRun, counting_units, trial_batches
from ncyber_cli.pipeline.score import UnitTally, VarianceTally
from ncyber_cli.spec import LinearBody, MLPController, PointMass

_BATCH = 64
_SEED = 0  # that of `infer`, so that both commands print the same bits per spike
_RIDGE_SAMPLES = 8
_MOST_ENTRIES = 20_000_000  # of rates that the ridge is fitted to


@dataclass(frozen=True)
class _SessionScore:
    """Scores on test trials, and the spikes, continuous held-out units and bins behind them."""

    held_out: dict[str, float | None]  # co_bps and co_r2 with their nulls
    spikes: float
    continuous: float
    behavior_r2: float | None
    bins: float


def summaries(run: OpenRun, sessions: list[Session]) -> list[AnimalSummary]:
    """A row for each animal of the run, in its order."""
    rows = []
    for animal in run.layout.animals:
        own = [session for session in sessions if session.animal == animal]
        scores = [_score(run, session) for session in own]
        rows.append(
            AnimalSummary(
                animal=animal,
                trials=sum(int((session.split == TEST).sum()) for session in own),
                neurons=sum(len(session.unit_id) for session in own),
                co_bps=_weighted((score.held_out.get("co_bps"), score.spikes) for score in scores),
                co_bps_null=_weighted((score.held_out.get("co_bps_null"), score.spikes) for score in scores),
                co_r2=_weighted((score.held_out.get("co_r2"), score.continuous) for score in scores),
                co_r2_null=_weighted((score.held_out.get("co_r2_null"), score.continuous) for score in scores),
                behavior_r2=_weighted((score.behavior_r2, score.bins) for score in scores),
                objective=describe(run),
            )
        )
    return rows


def describe(run: OpenRun) -> str | None:
    """The objective of a run, in the words of the results table."""
    objective, body, units = run.model.loop.objective, run.spec.model.body, run.layout.body_units
    if objective is None:
        return None
    if isinstance(body, LinearBody) and not isinstance(run.spec.model.controller, MLPController):
        return f"setpoint of {', '.join(run.layout.body_names[: objective.size])}"
    unit = units[0] if isinstance(body, PointMass) else None
    found = describe_objective(run.spec.model.controller.kind, dimensions=objective.n_axis, unit=unit)
    return f"moving {found}" if objective.moving else found


def _score(run: OpenRun, session: Session) -> _SessionScore:
    test, held_out = np.flatnonzero(session.split == TEST), session.held_out
    counting = counting_units(run, session)
    found: dict[str, float | None] = {}
    spikes = 0.0
    if len(test) and held_out.any():
        tally = _tally(run, session, counting, test)
        found = tally.scores("co", _training_mean(session), held_out)
        spikes = float(tally.bits.spikes[held_out & counting].sum())
    reads_neurons = "neural" in run.spec.inference.inputs
    behavior = _behavior_r2(run, session, test) if session.body_names and len(test) and reads_neurons else None
    continuous = float((held_out & ~counting).sum())
    return _SessionScore(found, spikes, continuous, behavior, float(session.mask[test].sum()))


def _tally(run: OpenRun, session: Session, counting: NDArray[np.bool_], trials: NDArray[np.int64]) -> UnitTally:
    """Scores of every unit under the posterior mean of its rate."""
    tally, n_unit = UnitTally(counting), len(session.unit_id)
    inference = run.spec.inference
    for some in trial_batches(run, session, trials, _BATCH):
        moments = posterior_moments(run.model, some.batch, inference, some.keys, samples=inference.samples, seed=_SEED)
        rates = moments["rates"].mean[..., :n_unit].float().cpu().numpy()
        n_time = rates.shape[1]
        counts = session.observation[some.trials, :n_time].astype(np.float32)
        tally.add(counts, rates, session.mask[some.trials, :n_time])
    return tally


def _training_mean(session: Session) -> NDArray[np.float64]:
    """Mean of each unit in training trials, (unit,)."""
    tally = VarianceTally(len(session.unit_id))
    trials = np.flatnonzero(session.split == TRAIN)
    for start in range(0, len(trials), _BATCH):
        chosen = trials[start : start + _BATCH]
        counts = session.observation[chosen].astype(np.float32)
        tally.add(counts, np.ones_like(counts), session.mask[chosen])
    return tally.mean()


def _behavior_r2(run: OpenRun, session: Session, test: NDArray[np.int64]) -> float | None:
    """R2 of ridge from rates to behaviour, each channel in units of its own sd.

    The rates are inferred from neurons alone: an encoder that is shown behaviour hands it through.
    """
    training, validation = (np.flatnonzero(session.split == part) for part in (TRAIN, VALIDATION))
    size = session.mask.shape[1] * len(session.unit_id)
    training = training[:: max(1, -(-len(training) * size // _MOST_ENTRIES))]
    if not len(validation):  # the last training trials choose the ridge's penalty
        kept = max(1, len(training) * 4 // 5)
        training, validation = training[:kept], training[kept:]
    if not len(validation):
        return None
    known = session.body[training][session.mask[training]].astype(np.float64)
    recorded = ~np.isnan(known).all(axis=0)  # some sessions lack a signal, or all of them
    if not recorded.any():
        return None
    session = replace(session, body=session.body[..., recorded])
    sd = np.nanstd(known[:, recorded], axis=0)
    parts = [_examples(run, session, trials, np.where(sd > 0, sd, 1.0)) for trials in (training, validation, test)]
    score = behavior_r2(*parts)
    return score if np.isfinite(score) else None


def _examples(run: OpenRun, session: Session, trials: NDArray[np.int64], sd: NDArray[np.float64]) -> Examples:
    n_time, n_unit = session.mask.shape[1], len(session.unit_id)
    rates = np.zeros((len(trials), n_time, n_unit), np.float32)
    done = 0
    for some in trial_batches(run, session, trials, _BATCH):
        moments = posterior_moments(
            run.model,
            some.batch,
            run.spec.inference,
            some.keys,
            samples=_RIDGE_SAMPLES,
            seed=_SEED,
            sources="neural",
        )
        found = moments["rates"].mean[..., :n_unit].float().cpu().numpy()
        rates[done : done + len(found), : found.shape[1]] = found
        done += len(found)
    return Examples(rates, session.body[trials] / sd, session.mask[trials])


def _weighted(scores: Iterable[tuple[float | None, float]]) -> float | None:
    """The mean of what there is, by weight; None where there is nothing."""
    known = [(score, weight) for score, weight in scores if score is not None and weight > 0]
    total = sum(weight for _, weight in known)
    return sum(score * weight for score, weight in known) / total if known else None
