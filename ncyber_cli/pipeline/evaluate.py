"""`ncyber evaluate`: metrics.json, figures and one HTML page that says whether the objective earns its place."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ncyber_cli.atomic import check_writable, write_text
from ncyber_cli.data.recording import TEST, Session
from ncyber_cli.errors import DataError, RequirementUnmet, UsageError
from ncyber_cli.outputs.figures import distance_figure, gains_figure, recovery_figure
from ncyber_cli.outputs.provenance import plain, record_provenance
from ncyber_cli.outputs.report import report_html
from ncyber_cli.outputs.verdict import WORTH
from ncyber_cli.pipeline.ablations import Refits, refits, run_seed
from ncyber_cli.pipeline.agreement import Constants, agreement, constants_of, differing
from ncyber_cli.pipeline.edges import edge_strengths
from ncyber_cli.pipeline.evidence import FIRST_S, Gains
from ncyber_cli.pipeline.foresight import HORIZON_S, SAMPLES, STARTS
from ncyber_cli.pipeline.given_edges import against_connectome, with_given
from ncyber_cli.pipeline.held_out import summaries
from ncyber_cli.pipeline.judgement import ALL, Judgement, interval_dict, judgement, refits_are_needed, sees_both
from ncyber_cli.pipeline.open_run import OpenRun, check_readers, objective_in_body_units, open_run
from ncyber_cli.pipeline.recovery import known_truth, recovery
from ncyber_cli.pipeline.run_folder import SUMMARY
from ncyber_cli.pipeline.sessions import foreign_files, sessions_of_run
from ncyber_cli.reporting import Progress, table
from ncyber_cli.spec_file import resolve_sessions, spec_text

METRICS, PAGE, FIGURES, ABLATIONS = "metrics.json", "report.html", "figures", "ablations"
Requirement = Literal["supported"]


@dataclass(frozen=True)
class EvaluateOptions:
    """What can be asked of `evaluate` besides the run and the recordings."""

    seeds: int = 1
    refit: bool = True
    require: tuple[Requirement, ...] = ()
    checkpoint: Literal["best", "last"] = "best"
    device: str = "auto"
    overwrite: bool = False
    quiet: bool = False


def evaluate_run(run: Path, data: Sequence[str], out: Path, options: EvaluateOptions, *, as_json: bool = False) -> None:
    """Write the report's folder and print the verdict of every animal.

    Raises UsageError, CheckpointError, DataError and ResourceError for what cannot be read or written, what training
    raises in a refit, and RequirementUnmet once everything is written if a required metric is not met.
    """
    if (out / METRICS).exists() and not options.overwrite:
        remedy = "choose another --out, or write --overwrite; refits in it are used again"
        raise UsageError("exists already", where=str(out / METRICS), remedy=remedy)
    opened = open_run(run, options.checkpoint, options.device)
    check_readers(opened)
    sessions = sessions_of_run(opened.layout, opened.spec, resolve_sessions(opened.spec, Path(run), data))
    _check_test_trials(sessions)
    check_writable(out)
    with Progress(quiet=options.quiet) as progress:
        for remark in foreign_files(opened.layout, sessions):
            progress.say(remark)
        others = Refits([], [])
        if options.refit and refits_are_needed(opened, sessions):
            _check_fitted(opened)
            others = refits(opened, out / ABLATIONS, sessions, options.seeds, progress)
        judged = judgement(opened, others.seeds, others.mlps, sessions, progress)
        metrics = _metrics(opened, sessions, judged, others, progress)
    metrics = plain(metrics)
    _write(out, metrics)
    _print(out, metrics, as_json=as_json)
    _check_required(options.require, metrics)


def _check_test_trials(sessions: Sequence[Session]) -> None:
    for session in sessions:
        if not (session.split == TEST).any():
            remedy = "fit with data.split.test above 0, or give a file that the run has not seen"
            raise DataError("has no test trials", where=str(session.path), remedy=remedy)


def _check_fitted(run: OpenRun) -> None:
    """Raise UsageError for an adapted run: a refit would learn from its few trials what it was given."""
    origin = _summary(run).get("adapted_from")
    if origin is not None:
        what = f"was adapted from {Path(origin['run']).parent}, and a refit from its trials alone is no comparison"
        raise UsageError(what, where=str(run.path), remedy="write --no-refit, or evaluate the run it was adapted from")


def _metrics(
    run: OpenRun, sessions: Sequence[Session], judged: Judgement, others: Refits, progress: Progress
) -> dict[str, Any]:
    """Everything that is known, as metrics.json holds it."""
    animals = list(dict.fromkeys(session.animal for session in sessions))
    same = [run, *others.seeds]
    progress.say("scoring test trials")
    summary = _summary(run)
    fitted = "starts" in summary  # what `design` wrote was not fitted
    start = summary["starts"][summary["kept_start"]] if fitted else {"signs": None, "warnings": []}
    constants = constants_of(same, animals)
    provenance = record_provenance(
        ["ncyber", *sys.argv[1:]],
        seed=run_seed(run),
        spec=spec_text(run.spec),
        input_sha256={str(run.path): run.sha256} | {str(session.path): session.sha256 for session in sessions},
    )
    edges = with_given(run.spec, edge_strengths(run, sessions))
    rows = [row.as_dict() for row in summaries(run, list(sessions)) if row.animal in animals]
    return {
        "run": str(run.path),
        "verdict": {name: asdict(verdict) for name, verdict in judged.verdicts.items()},
        "gains": {name: _gains(each) for name, each in judged.gains.items()},
        "closed_loop_error": judged.closed_loop_error,
        "held_out": rows,
        "edges": edges,
        "connectome": against_connectome(edges),
        "agreement": agreement({"objective": same, "mlp": others.mlps}, sessions) if len(same) > 1 else {},
        "constants": constants,
        "not_told_apart": _not_told_apart(summary, constants),
        "recovery": _recoveries(run, sessions),
        "signs": start["signs"],
        "warnings": start["warnings"],
        "settings": {
            "starts": STARTS,
            "first_horizon_s": FIRST_S,
            "horizon_s": HORIZON_S,
            "samples": SAMPLES,
            "worth_nats": WORTH * max(1, len(run.layout.body_names)),
            "refits": [str(each.path.parent) for each in (*others.seeds, *others.mlps)],
        },
        "provenance": {**asdict(provenance), "command": provenance.attributes()["command"]},
    }


def _gains(each: Gains) -> dict[str, Any]:
    return {
        "trials": each.trials,
        "seeds": each.seeds,
        "channels": each.channels,
        "over": {arm: interval_dict(interval) for arm, interval in each.over.items()},
        "by_start": each.by_start,
    }


def _summary(run: OpenRun) -> dict[str, Any]:
    """What the fit said of itself; empty where it wrote nothing."""
    path = run.path.parent / SUMMARY
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _not_told_apart(summary: Mapping[str, Any], constants: Constants) -> dict[str, list[str]]:
    """By animal: what the fit found that its data cannot tell apart, and what differs between seeds."""
    said = {row["animal"]: row.get("not_told_apart", []) for row in summary.get("animals", [])}
    loose = differing(constants)
    return {
        animal: [*said.get(animal, []), *(f"{name} differs between seeds" for name in loose[animal])]
        for animal in constants
    }


def _recoveries(run: OpenRun, sessions: Sequence[Session]) -> dict[str, Any]:
    if run.model.loop.objective is None or run.model.loop.body is None:
        return {}
    found, raw = {}, objective_in_body_units(run)
    for session in sessions:
        truth = known_truth(session)
        if truth is not None:
            name = f"{session.animal} {session.session}"
            found[name] = recovery(run, session, truth, both=sees_both(run), raw=raw)
    return found


def _write(out: Path, metrics: Mapping[str, Any]) -> None:
    """Figures first, metrics.json last: where it is, all of it is."""
    shown = _figures(metrics)
    (out / METRICS).unlink(missing_ok=True)
    shutil.rmtree(out / FIGURES, ignore_errors=True)
    for name, svg in shown.items():
        write_text(out / FIGURES / f"{name.replace(' ', '_').replace('/', '_')}.svg", svg)
    write_text(out / PAGE, report_html(metrics, shown))
    write_text(out / METRICS, json.dumps(metrics, indent=2, sort_keys=True, allow_nan=False) + "\n")


def _figures(metrics: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    if metrics["gains"]:
        over = {animal: each["over"] for animal, each in metrics["gains"].items()}
        shown = over if len(over) > 2 else {ALL: over[ALL]}
        found["gains"] = gains_figure(shown, metrics["settings"]["worth_nats"])
        error = metrics["closed_loop_error"]
        first = next(iter(error["animals"].values()))
        found["distance"] = distance_figure(first, error["horizon_s"], error["unit"])
    for session, one in metrics["recovery"].items():
        if one.get("objective_r2_by_time"):
            found[f"recovery {session}"] = recovery_figure(one["objective_r2_by_time"])
    return found


def _print(out: Path, metrics: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False))
        return
    rows = [
        {"animal": animal, "trials": _trials(metrics, animal), "supported": one["supported"], "why": one["sentence"]}
        for animal, one in metrics["verdict"].items()
        if animal != ALL or len(metrics["verdict"]) > 2
    ]
    table(rows, ["animal", "trials", "supported", "why"])
    print(f"wrote {out / PAGE}, {METRICS}, {FIGURES}/")


def _trials(metrics: Mapping[str, Any], animal: str) -> int | None:
    return metrics["gains"][animal]["trials"] if animal in metrics["gains"] else None


def _check_required(require: Sequence[Requirement], metrics: Mapping[str, Any]) -> None:
    verdict = metrics["verdict"][ALL]
    if "supported" in require and verdict["supported"] != "yes":
        raise RequirementUnmet(verdict["sentence"], where="--require supported")
