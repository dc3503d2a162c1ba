"""`ncyber infer`: recordings through a finished run into a results file, a few trials at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.atomic import check_writable, refuse_existing, refuse_inputs
from ncyber_cli.data.recording import SPLIT_NAMES, TEST, TRAIN, Session
from ncyber_cli.errors import DataError, NumericalError, UsageError
from ncyber_cli.inference.posterior import PROTOTYPES, Moments, Sources, causal_moments, moments_of, posterior_samples
from ncyber_cli.memory import in_pieces
from ncyber_cli.outputs.label_objectives import label_objectives
from ncyber_cli.outputs.provenance import record_provenance
from ncyber_cli.outputs.results_hdf5 import ResultsWriter
from ncyber_cli.outputs.results_layout import nwb_name
from ncyber_cli.pipeline.drift import unit_drift
from ncyber_cli.pipeline.open_run import (
    OpenRun,
    TrialBatch,
    check_readers,
    counting_units,
    header_of,
    open_run,
    trial_batches,
)
from ncyber_cli.pipeline.score import UnitTally
from ncyber_cli.pipeline.sessions import foreign_files, sessions_of_run
from ncyber_cli.reporting import Progress, table
from ncyber_cli.spec_file import resolve_sessions, spec_text

_COLUMNS = ["animal", "session", *SPLIT_NAMES, "units", "held_out"]
_SMALLER = "shorten trials (data.trials.window_s) or write a larger data.bin_s, and fit again"
# Of test trials: bits per spike of units that emit counts, R2 of the others.
_SCORES = [f"{name}_{score}{null}" for name in ("co", "fp") for score in ("bps", "r2") for null in ("", "_null")]


@dataclass(frozen=True)
class InferOptions:
    """What can be asked of `infer` besides the run and the recordings."""

    causal: bool = False
    samples: int | None = None  # None: the spec's
    write_samples: bool = False  # every posterior sample beside its mean and sd
    sources: Sources = "both"
    until_s: float | None = None  # the encoder sees each trial's first so many seconds
    nwb: Path | None = None
    checkpoint: Literal["best", "last"] = "best"
    batch: int = 64
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False


def infer_run(run: Path, data: Sequence[str], out: Path, options: InferOptions, *, as_json: bool = False) -> None:
    """Write the results file (and NWB files) and print what was inferred.

    Raises UsageError for options that exclude each other or that the run was not trained for, CheckpointError,
    DataError and ResourceError for what cannot be read or written, NumericalError for results that are not finite.
    """
    _check_options(out, options)
    opened = open_run(run, options.checkpoint, options.device)
    _check_sources(opened, options.sources)
    if options.causal:
        check_readers(opened)
    paths = resolve_sessions(opened.spec, Path(run), data)
    refuse_inputs([out], [opened.path, *paths])
    sessions = sessions_of_run(opened.layout, opened.spec, paths)
    _check_recorded(sessions, options.sources)
    _check_nwb(sessions, options)
    seen_bins = None if options.until_s is None else _seen_bins(options.until_s, sessions)
    provenance = record_provenance(
        ["ncyber", *sys.argv[1:]],
        seed=options.seed,
        spec=spec_text(opened.spec),
        input_sha256={str(opened.path): opened.sha256} | {str(s.path): s.sha256 for s in sessions},
    )
    settings = _settings(opened, options)
    rows, progress = [], Progress()
    for remark in foreign_files(opened.layout, sessions):
        progress.say(remark)
    with ResultsWriter(out, {**provenance.attributes(), **settings}, overwrite=options.overwrite) as writer:
        for session in sessions:
            rows.append(_infer_session(opened, session, writer, options, seen_bins))
            progress.say(f"inferred {session.animal} {session.session}: {len(session.trial_id)} trials")
        _label(opened, sessions, writer)
    written = [out, *_write_nwb(out, options)]
    _print(rows, written, as_json=as_json)


def _label(run: OpenRun, sessions: Sequence[Session], writer: ResultsWriter) -> None:
    """Name the goals: the prototypes of prior `switching`, elsewhere clusters of what was inferred."""
    objective = run.model.loop.objective
    law = None if objective is None else objective.prototype_law()
    if objective is None or law is None:
        label_objectives(writer, [header_of(run, session) for session in sessions])
        return
    mean = (objective.mean + objective.sd * law.position).detach().cpu().numpy()
    for session in sessions:
        writer.write_prototype_means(session.animal, session.session, mean)


def _check_options(out: Path, options: InferOptions) -> None:
    if options.causal and options.until_s is not None:
        remedy = "leave one out: causal output is a forecast of nothing"
        raise UsageError("--causal and --until-s exclude each other", remedy=remedy)
    for option, asked in (("--samples", options.samples is not None), ("--write-samples", options.write_samples)):
        if options.causal and asked:
            raise UsageError("--causal draws no samples", where=option, remedy=f"leave {option} out")
    refuse_existing(out, overwrite=options.overwrite)


def _check_sources(run: OpenRun, sources: Sources) -> None:
    trained = run.spec.inference.inputs
    if sources != "both" and sources not in trained:
        raise UsageError(
            f"this run's encoder never saw {sources}",
            where=f"--from {sources}",
            remedy=f"fit with inference.inputs: [{', '.join([*trained, sources])}]",
        )


def _check_recorded(sessions: Sequence[Session], sources: Sources) -> None:
    """Raise DataError for a session of which nothing would be shown."""
    for session in sessions:
        if sources == "behavior" and np.isnan(session.body[session.mask]).all():
            what = "has no recorded behaviour, and nothing else is looked at"
            raise DataError(what, where=f"{session.animal} {session.session}", remedy="leave out the file, or --from")


def _seen_bins(until_s: float, sessions: Sequence[Session]) -> int:
    """The bins that end by `until_s` from a trial's first bin on."""
    bin_s, longest = sessions[0].bin_s, max(session.mask.shape[1] for session in sessions)
    seen = int(np.floor(until_s / bin_s + 1e-6))
    if not 1 <= seen < longest:
        raise UsageError(
            f"a forecast from {until_s:g} s on needs trials that begin before and end after it",
            where="--until-s",
            remedy=f"trials have up to {longest * bin_s:g} s, bins {bin_s:g} s",
        )
    return seen


def _settings(run: OpenRun, options: InferOptions) -> dict[str, str | int | float]:
    settings: dict[str, str | int | float] = {"run": str(run.path), "from": options.sources, "causal": options.causal}
    if not options.causal:
        settings["samples"] = options.samples or run.spec.inference.samples
    if options.until_s is not None:
        settings["until_s"] = options.until_s
    return settings


def _infer_session(
    run: OpenRun, session: Session, writer: ResultsWriter, options: InferOptions, seen_bins: int | None
) -> dict[str, Any]:
    """Write every trial of a session; its row of the table."""
    n_sample = options.samples or run.spec.inference.samples
    writer.add_session(header_of(run, session), samples=n_sample if options.write_samples else 0)
    drift = unit_drift(run, session)
    if drift is not None:
        writer.write_drift(session.animal, session.session, drift)
    scores = _Scores(session, counting_units(run, session), seen_bins)

    def seen(trials: NDArray[np.int64]) -> tuple[TrialBatch, dict[str, Moments]]:
        some = next(trial_batches(run, session, trials, len(trials)))
        return some, _moments(run, session, some, writer, options, seen_bins)

    for some, moments in in_pieces(np.arange(len(session.trial_id)), options.batch, seen, _SMALLER):
        _check_finite(moments["latents"].mean, some)
        for group, found in moments.items():
            mean, sd = (to_session(values, session, group) for values in (found.mean, found.sd))
            if group == PROTOTYPES:
                writer.write_prototypes(session.animal, session.session, some.trials, mean)
                continue
            writer.write(session.animal, session.session, some.trials, group, mean, sd)
            if group == "rates":
                scores.add(some.trials, mean)
    splits = {name: int((session.split == part).sum()) for part, name in enumerate(SPLIT_NAMES)}
    row = {"animal": session.animal, "session": session.session, **splits, "units": len(session.unit_id)}
    return row | {"held_out": int(session.held_out.sum())} | scores.row()


def _moments(
    run: OpenRun,
    session: Session,
    some: TrialBatch,
    writer: ResultsWriter,
    options: InferOptions,
    seen_bins: int | None,
) -> dict[str, Moments]:
    inference = run.spec.inference
    if options.causal:
        return causal_moments(run.model, some.batch, inference, sources=options.sources)
    draws = posterior_samples(
        run.model,
        some.batch,
        inference,
        some.keys,
        samples=options.samples or inference.samples,
        seed=options.seed,
        sources=options.sources,
        seen_bins=seen_bins,
    )
    kept = _written(draws, session, some, writer) if options.write_samples else draws
    return moments_of(kept, run.model, some.batch)


def _written(
    draws: Iterator[dict[str, torch.Tensor]], session: Session, some: TrialBatch, writer: ResultsWriter
) -> Iterator[dict[str, torch.Tensor]]:
    """The same draws, each put into the file as it passes."""
    for sample, groups in enumerate(draws):
        for group, values in groups.items():
            if group == PROTOTYPES:  # a probability already, of which a single draw says less than the mean
                continue
            drawn = to_session(values, session, group)
            writer.write_draw(session.animal, session.session, sample, some.trials, group, drawn)
        yield groups


def _check_finite(latents: torch.Tensor, some: TrialBatch) -> None:
    bad = ~torch.isfinite(latents).all(2) & some.batch.mask
    if bad.any():
        trial, first = (int(index) for index in bad.nonzero()[0])
        key = some.keys[trial]
        raise NumericalError(
            f"latents are not finite from bin {first} on",
            where=f"{key.animal} {key.session}, trial {key.trial}",
            remedy="look at what was recorded there, or fit with a lower training.learning_rate",
        )


def to_session(values: torch.Tensor, session: Session, group: str) -> NDArray[np.float32]:
    """(trial, time, feature) in the session's bins and units: a batch ends with its longest trial, and pads units."""
    found = values.to(torch.float32).cpu().numpy()
    found = found[..., : len(session.unit_id)] if group == "rates" else found
    wide = np.full((len(found), session.mask.shape[1], found.shape[2]), np.nan, np.float32)
    wide[:, : found.shape[1]] = found
    return wide


class _Scores:
    """Scores of a session's test trials, with the training trials' means as a null."""

    def __init__(self, session: Session, counting: NDArray[np.bool_], seen_bins: int | None) -> None:
        self.session, self.seen_bins = session, seen_bins
        self.seen, self.forecast, self.training = (UnitTally(counting) for _ in range(3))

    def add(self, trials: NDArray[np.int64], rates: NDArray[np.float32]) -> None:
        session = self.session
        recorded, mask = session.observation[trials].astype(np.float32), session.mask[trials]
        early = np.arange(mask.shape[1]) < (mask.shape[1] if self.seen_bins is None else self.seen_bins)
        split = session.split[trials, None]
        self.seen.add(recorded, rates, mask & early & (split == TEST))
        self.forecast.add(recorded, rates, mask & ~early & (split == TEST))
        self.training.add(recorded, rates, mask & (split == TRAIN))

    def row(self) -> dict[str, float | None]:
        held_out, training = self.session.held_out, self.training.variance.mean()
        row = self.seen.scores("co", training, held_out)
        if self.seen_bins is not None:
            row |= self.forecast.scores("fp", training, np.ones_like(held_out))
        return row


def _check_nwb(sessions: Sequence[Session], options: InferOptions) -> None:
    """Raise UsageError or OSError for NWB files that could not be written in the end."""
    if options.nwb is None:
        return
    targets = [options.nwb / nwb_name(session.animal, session.session) for session in sessions]
    refuse_inputs(targets, [session.path for session in sessions])
    for target in targets:
        refuse_existing(target, overwrite=options.overwrite, option="--nwb")
    check_writable(options.nwb)


def _write_nwb(out: Path, options: InferOptions) -> list[Path]:
    if options.nwb is None:
        return []
    from ncyber_cli.outputs.results_nwb import nwb_from_results  # pynwb takes a second to import

    return nwb_from_results(out, options.nwb, overwrite=options.overwrite)


def _print(rows: list[dict[str, Any]], written: list[Path], *, as_json: bool) -> None:
    if as_json:
        table([row | {"written": [str(path) for path in written]} for row in rows], [], as_json=True)
        return
    table(rows, _COLUMNS + [score for score in _SCORES if any(score in row for row in rows)])
    print(f"wrote {', '.join(str(path) for path in written)}")
