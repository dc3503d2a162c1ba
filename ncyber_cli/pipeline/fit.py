"""`ncyber fit`: from a spec and recordings to a run's folder and the table of what was found."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os.path import normpath
from pathlib import Path
from typing import Any

import torch

from ncyber_cli.atomic import write_text
from ncyber_cli.data.batches import Cohort
from ncyber_cli.data.recording import SPLIT_NAMES, TRAIN
from ncyber_cli.errors import CheckpointError, DataError, UsageError
from ncyber_cli.inference.assemble import assemble
from ncyber_cli.model.layout import Layout
from ncyber_cli.outputs.metrics_log import MetricsLog
from ncyber_cli.outputs.provenance import record_provenance, write_summary
from ncyber_cli.outputs.summary import AnimalSummary
from ncyber_cli.pipeline.connectome import with_connectome
from ncyber_cli.pipeline.constants import animal_constants, floors_hit
from ncyber_cli.pipeline.device import chosen_device
from ncyber_cli.pipeline.drift import drift_sizes
from ncyber_cli.pipeline.edges import edge_strengths
from ncyber_cli.pipeline.given_edges import against_connectome, with_given
from ncyber_cli.pipeline.held_out import summaries
from ncyber_cli.pipeline.open_run import OpenRun, open_run
from ncyber_cli.pipeline.run_folder import METRICS, SUMMARY, RunFolder
from ncyber_cli.pipeline.sessions import cohort_of, read_sessions
from ncyber_cli.pipeline.teacher import check_same_teacher, taught_by, with_teachers
from ncyber_cli.reporting import Progress, table
from ncyber_cli.spec import Spec
from ncyber_cli.spec_file import load_spec, resolve_sessions, spec_text
from ncyber_cli.training.checkpoint import BEST, Checkpoint, load
from ncyber_cli.training.identify import weight_identifiability
from ncyber_cli.training.measure import measure
from ncyber_cli.training.starts import FitOutcome, Job, fit, resume_point

_STATE = ("seed", "finished", "kept", "alignment", "current")  # of a fit that goes on, as `Starts` saves it
_SIZES = ["animal", "session", *SPLIT_NAMES, "bins", "units", "held_out"]


@dataclass(frozen=True)
class FitRequest:
    """The command line of a fit."""

    spec: Path
    data: tuple[str, ...]
    out: Path
    overrides: tuple[str, ...] = ()
    teachers: tuple[str, ...] = ()
    device: str = "auto"
    seed: int = 0
    resume: bool = False
    overwrite: bool = False
    dry_run: bool = False
    as_json: bool = False
    quiet: bool = False
    command: str | None = None  # that goes on with it, where it is part of something larger

    def resume_command(self) -> str:
        """What to type so that this fit goes on."""
        if self.command is not None:
            return self.command
        words = ["ncyber", "fit", str(self.spec), *self.data, "--out", str(self.out)]
        for override in self.overrides:
            words += ["--set", override]
        for teacher in self.teachers:
            words += ["--teacher", teacher]
        return shlex.join([*words, "--device", self.device, "--seed", str(self.seed), "--resume"])


def run_fit(request: FitRequest) -> None:
    """Train, evaluate on test trials, write the run's folder and print the table.

    Raises UsageError for a device that is not there and a folder that holds another run, ResourceError if
    another fit is writing there, and what reading (SpecError, DataError), resuming (CheckpointError) and
    training (NumericalError, Interrupted) raise.
    """
    with Progress(quiet=request.quiet) as progress:
        if request.dry_run:
            spec, paths, device = _asked(request)
            _dry_run(request, spec, paths, device, progress)
            return
        spec, rows = train_run(request, progress)
    data = request.data or [normpath(request.spec.parent / name) for name in spec.data.sessions]
    print_rows(RunFolder(request.out), rows, data, as_json=request.as_json)


def train_run(request: FitRequest, progress: Progress) -> tuple[Spec, list[AnimalSummary]]:
    """What `run_fit` does before it prints: the run's folder is written, its spec and scores are returned."""
    spec, paths, device = _asked(request)
    folder = RunFolder(request.out)
    with folder.locked(resume=request.resume, overwrite=request.overwrite, remark=progress.say):
        return spec, _fit_locked(request, folder, with_files(spec, paths), device, progress)


def _asked(request: FitRequest) -> tuple[Spec, list[Path], torch.device]:
    """The spec, the recordings and the device of a request, once its folder may be written."""
    device = chosen_device(request.device)
    spec = with_connectome(load_spec(request.spec, request.overrides), request.spec)
    spec = with_teachers(spec, request.spec, request.teachers, request.out)
    paths = resolve_sessions(spec, request.spec, request.data)
    RunFolder(request.out).check(resume=request.resume, overwrite=request.overwrite)
    return spec, paths, device


def with_files(spec: Spec, paths: Sequence[Path]) -> Spec:
    """The spec of this very run: its files by their full names, so that the saved spec says what was read."""
    files = [str(path.resolve()) for path in paths]
    return spec.model_copy(update={"data": spec.data.model_copy(update={"sessions": files})})


def _read(spec: Spec, paths: Sequence[Path], progress: Progress) -> tuple[Cohort, Layout]:
    progress.say(f"reading {len(paths)} {'file' if len(paths) == 1 else 'files'}")
    dtype = torch.float64 if spec.training.dtype == "float64" else torch.float32
    cohort = cohort_of(read_sessions(spec, paths), dtype)
    for session in cohort.sessions:
        if session.absent:
            progress.say(f"{session.path.name} has no {', '.join(session.absent)}: inferred from what it has")
        if session.nameless:
            progress.say(f"{session.path.name} names no subject: its animal is called {session.animal}")
    return cohort, measure(spec, cohort)


def _fit_locked(
    request: FitRequest, folder: RunFolder, spec: Spec, device: torch.device, progress: Progress
) -> list[AnimalSummary]:
    saved = load(folder.last) if request.resume else None
    cohort, layout = _read(spec, [Path(name) for name in spec.data.sessions], progress)
    state: Mapping[str, Any] | None = None
    if saved is not None:
        state = same_fit(saved, spec, layout, request.seed)
        layout = saved.layout
    else:
        folder.clear()
    write_text(folder.spec, spec_text(spec))
    taught = taught_by(spec, cohort, device.type, progress)
    if saved is not None:
        check_same_teacher(taught, saved)
    job = Job(cohort, spec, layout, folder.path, request.seed, device, request.resume_command(), taught)
    return train_and_score(job, state, progress)


def train_and_score(
    job: Job, state: Mapping[str, Any] | None, progress: Progress, more: Mapping[str, Any] | None = None
) -> list[AnimalSummary]:
    """Train into the job's folder, score test trials and write the summary, with what `more` there is to say."""
    folder, cohort = RunFolder(job.folder), job.cohort
    progress.say(f"training on {job.device}, {_trials(cohort)}")
    with folder.stop_told(job.resume_command):
        after = None if state is None else resume_point(state)
        with MetricsLog(folder.metrics, resume_after=after) as log:
            outcome = fit(job, log, progress.report, state)
        return _score(job, outcome, progress, more)


def _score(
    job: Job, outcome: FitOutcome, progress: Progress, more: Mapping[str, Any] | None
) -> list[AnimalSummary]:
    """Score test trials and write the summary of a fit that is over."""
    folder, cohort = RunFolder(job.folder), job.cohort
    progress.say("scoring test trials")
    run = open_run(folder.path, "best", job.device.type)
    choice = outcome.starts[outcome.kept].prototypes
    chosen = None if choice is None else choice.words()
    rows = [replace(row, prototypes=chosen) for row in summaries(run, cohort.sessions)]
    floors = floors_hit(run.model, job.layout)
    for floor in floors:
        progress.say(f"warning: at its floor: {floor}")
    animals = [{**row.as_dict(), **found} for row, found in zip(rows, _constants(run, cohort), strict=True)]
    edges = with_given(run.spec, edge_strengths(run, cohort.sessions))
    found = {"animals": animals, "variance_floors_hit": floors, "parameters": _parameters(run.model), "edges": edges}
    found |= {"connectome": against_connectome(edges)}
    found["drift"] = drift_sizes(run, cohort.sessions)
    if job.spec.training.batch == "auto":
        training = job.spec.training.model_copy(update={"batch": outcome.starts[-1].batch})
        write_text(folder.spec, spec_text(job.spec.model_copy(update={"training": training})))
    _write_summary(folder, job, outcome, {**found, **(more or {})})
    return rows


def _constants(run: OpenRun, cohort: Cohort) -> list[dict[str, Any]]:
    """Each animal's constants, with their uncertainty, and which of them the data cannot tell apart."""
    identified = weight_identifiability(run.model, cohort, cohort.picks(TRAIN), run.spec.inference)
    if not identified:
        return [{"constants": animal_constants(run.model, run.layout, each)} for each in range(len(cohort.animals))]
    return [
        {
            "constants": animal_constants(run.model, run.layout, index, each),
            "not_told_apart": each.not_told_apart(),
        }
        for index, each in enumerate(identified)
    ]


def same_fit(saved: Checkpoint, spec: Spec, layout: Layout, seed: int) -> dict[str, Any]:
    """The state to go on from.

    Raises UsageError or DataError if this is not the fit that was interrupted, CheckpointError for a state of another
    version.
    """
    where = str(saved.path)
    if saved.training is None:
        raise UsageError("is no checkpoint of an unfinished fit", where=where, remedy="begin again with --overwrite")
    for part in _STATE:
        if part not in saved.training:
            remedy = "use the version that its summary.json names, or begin again with --overwrite"
            raise CheckpointError(f"holds no {part}, as the state of a fit has", where=where, remedy=remedy)
    here, there = (_without_files(one).model_dump() for one in (spec, saved.spec))
    if here != there:
        key = _first_difference(here, there)
        remedy = "give the spec and the --set of the interrupted fit, or begin again with --overwrite"
        raise UsageError(f"was begun with another {key}", where=where, remedy=remedy)
    if saved.training["seed"] != seed:
        remedy = f"write --seed {saved.training['seed']}"
        raise UsageError(f"was begun with seed {saved.training['seed']}, not {seed}", where=where, remedy=remedy)
    if saved.layout.sessions != layout.sessions:
        remedy = "give the files of the interrupted fit, unchanged, or begin again with --overwrite"
        raise DataError("the recordings are not those that the fit was begun with", where=where, remedy=remedy)
    return saved.training


def _without_files(spec: Spec) -> Spec:
    return spec.model_copy(update={"data": spec.data.model_copy(update={"sessions": []})})


def _first_difference(here: Any, there: Any, path: str = "") -> str:
    """The dotted key where two specs part."""
    if isinstance(here, dict) and isinstance(there, dict):
        for key in [*here, *there]:
            if here.get(key) != there.get(key):
                return _first_difference(here.get(key), there.get(key), f"{path}.{key}" if path else str(key))
    return path


def _write_summary(folder: RunFolder, job: Job, outcome: FitOutcome, found: Mapping[str, Any]) -> None:
    provenance = record_provenance(
        ["ncyber", *sys.argv[1:]],
        seed=job.seed,
        spec=spec_text(job.spec),
        input_sha256={str(session.path): session.sha256 for session in job.cohort.sessions}
        | ({} if job.teacher is None else dict(job.teacher.sha256)),
    )
    starts = [
        {**asdict(start), "signs": start.signs.as_dict(), "warnings": start.signs.warnings()}
        for start in outcome.starts
    ]
    chosen_on = "validation" if outcome.has_validation else "train"
    if job.parent is not None:
        chosen_on = "none, the last is kept"
    fitted = {"starts": starts, "kept_start": outcome.kept, "epoch_chosen_on": chosen_on, "device": str(job.device)}
    write_summary(folder.summary, provenance, {**found, **fitted, "alignment": outcome.alignment})


def _parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _trials(cohort: Cohort) -> str:
    counts = [f"{len(cohort.picks(part))} {name}" for part, name in enumerate(SPLIT_NAMES)]
    n_animal = len(cohort.animals)
    return f"{', '.join(counts)} trials of {n_animal} {'animal' if n_animal == 1 else 'animals'}"


def _dry_run(request: FitRequest, spec: Spec, paths: Sequence[Path], device: torch.device, progress: Progress) -> None:
    """Read everything and say what would be trained; nothing is written."""
    cohort, layout = _read(spec, paths, progress)
    taught_by(spec, cohort, device.type, progress)
    rows = [
        {
            "animal": session.animal,
            "session": session.session,
            **{name: int((session.split == part).sum()) for part, name in enumerate(SPLIT_NAMES)},
            "bins": session.mask.shape[1],
            "units": len(session.unit_id),
            "held_out": int(session.held_out.sum()),
        }
        for session in cohort.sessions
    ]
    model = assemble(spec, layout, torch.Generator().manual_seed(request.seed))
    table(rows, _SIZES, as_json=request.as_json)
    if not request.as_json:
        starts, epochs = spec.training.starts, spec.training.epochs
        print(f"{_parameters(model)} parameters, {starts} x {epochs} epochs on {device}, {_trials(cohort)}")
        print(f"nothing is written; without --dry-run the run would be {request.out}")


def print_rows(folder: RunFolder, rows: Sequence[AnimalSummary], data: Sequence[str], *, as_json: bool) -> None:
    """The table of what was found, and what to type next; `data` are the recordings as they were named."""
    if as_json:
        table([row.as_dict() | {"run": str(folder.path)} for row in rows], [], as_json=True)
        return
    shown = [
        {
            "animal": row.animal,
            "trials": row.trials,
            "neurons": row.neurons,
            **_held_out_scores(row, rows),
            "behavior R2": row.behavior_r2,
            "objective": row.objective,
            **({} if row.prototypes is None else {"prototypes": row.prototypes}),
        }
        for row in rows
    ]
    table(shown, list(shown[0]))
    _print_edges(folder)
    print(f"wrote {folder.path / BEST}, {METRICS}, {SUMMARY}")
    print(f"next: ncyber infer {folder.path} {_short(data)} --out results.h5")
    if any(row.objective for row in rows):
        print(f"does the objective earn its place? ncyber evaluate {folder.path} {_short(data)} --out report")


def _print_edges(folder: RunFolder) -> None:
    edges = json.loads(folder.summary.read_text())["edges"]
    if edges:
        print("\nWhat passes from area to area (nats a bin; of test trials, another fit may differ by more):")
        table(edges, list(edges[0]))


def _short(data: Sequence[str]) -> str:
    """The recordings as one pattern, where it names the same files: a shell has spelt it out."""
    paths = {Path(name) for name in data}
    first = Path(data[0])
    if len(paths) > 1 and paths == set(first.parent.glob(f"*{first.suffix}")):
        return str(first.parent / f"*{first.suffix}")
    return " ".join(data)


def _held_out_scores(row: AnimalSummary, rows: Sequence[AnimalSummary]) -> dict[str, str | None]:
    """Bits per spike, and R2 in place of it or beside it where any animal has a continuous signal."""
    continuous = any(each.co_r2 is not None for each in rows)
    scores = {"co-R2 (null)": _with_null(row.co_r2, row.co_r2_null)} if continuous else {}
    if not continuous or any(each.co_bps is not None for each in rows):
        scores = {"co-bps (null)": _with_null(row.co_bps, row.co_bps_null), **scores}
    return scores


def _with_null(score: float | None, null: float | None) -> str | None:
    return None if score is None else f"{score:.2f} ({'-' if null is None else f'{null:.2f}'})"
