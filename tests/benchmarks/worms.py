"""Worms: three teach what is shared, the fourth is adapted to; forecasts and held-out neurons of its last 240 frames.

Every worm is the fourth once. Bars, a research target, each with the 95 % interval of a paired block bootstrap:

- 10 and 20 frames ahead the model beats each neuron's own AR(1), persistence and PCA-VAR, worm by worm;
- a quarter of the neurons, never shown to the encoder, are told better than by ridge from the others in the same frame;
- the same with white private noise: what is shared alone;
- neurons known by name across worms (`labels`) are worth more than neurons without names.

`private_alone` are the same runs with their latents taken away: what is beyond it is shared. Forecasts from a frame,
and what is said of a held-out neuron in it, are read off a window of 40 frames that ends there; forecasts are of the
neurons that the encoder sees. Settings were chosen in frames 401-560, with models of frames 1-400.

    python tests/benchmarks/worms.py [--together] [--seed N] [--set KEY=VALUE] [--work DIR]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import worm_files as files
from kept_steps import fitted, inferred, once, parser, run
from numpy.typing import NDArray
from worm_files import HISTORY, TRAINING, Worm
from worm_scores import BASELINES, HORIZONS, Block, Forecasts, difference, mean_r2, ridge

from ncyber_cli.outputs.read_results import read_results
from ncyber_cli.pipeline.open_run import open_run

Floats = NDArray[np.float64]
BARS = (10, 20)  # frames ahead
ORIGINS = np.arange(TRAINING - 1, files.FRAMES)
SPEC = """\
version: 1
data:
  bin_s: 0.6
  trials: {{table: windows, align: start_time}}
  neural:
    - {{source: activity, kind: calcium{labels}}}
  held_out: {{column: held_out}}
  split: {{validation: 0.0, test: 0.0}}
model:
  brain: {{kind: linear, latents: 3}}
  emission: {{kind: gaussian, private_noise: {noise}}}
  animals: {{embedding: 0}}
inference:
  masking: {{span_bins: [3, 20]}}
  dropout: {{share: 0.5}}
  samples: 8
training: {{epochs: 40, batch: 16, learning_rate: 2e-3}}
"""
ARMS = {
    "labels": {"labels": ", labels: label", "noise": "slow_and_fast"},
    "no_labels": {"labels": "", "noise": "slow_and_fast"},
    "white": {"labels": ", labels: label", "noise": "white"},
}


@dataclass(frozen=True)
class Told:
    """What a run says of a worm's test block."""

    ahead: Forecasts  # of the neurons that the encoder sees
    alone: Forecasts  # the same without latents
    held_out: Floats  # (frame, held-out neuron)


def told(work: Path, worms: Sequence[Worm], fourth: int, arm: str, options: argparse.Namespace) -> Told:
    """Forecasts of a worm from each frame of its test block, by a run that knows nothing of that block."""
    worm = worms[fourth]
    learn = together if options.together else adapted
    learned = learn(work / arm, worms, worm, SPEC.format(**ARMS[arm]), options)
    origins = files.write_origins(work / arm / "origins", worm, ORIGINS)
    words = ["--until-s", f"{HISTORY * files.FRAME_S:g}"]
    with read_results(inferred(work / arm / f"{worm.name}.ahead.h5", learned, [origins], words)) as file:
        rates = file[f"animals/{worm.name}/{worm.name}/rates/mean"][()].astype(np.float64)
    return Told(
        _ahead(rates, worm), _ahead(_without_latents(learned, worm), worm), rates[1:, HISTORY - 1, worm.held_out]
    )


def adapted(work: Path, worms: Sequence[Worm], fourth: Worm, spec: str, options: argparse.Namespace) -> Path:
    """Three worms teach what is shared, and the fourth is adapted to."""
    folder = work / fourth.name
    others = [files.write_training(folder / "others", each, files.FRAMES) for each in worms if each is not fourth]
    fitted(folder / "run", _written(folder, spec), others, options.overrides, options.seed)
    own = files.write_training(folder / "own", fourth, TRAINING)
    seed = ["--seed", str(options.seed)]
    once(folder / "adapted", ["adapt", folder / "run", own, "--out", folder / "adapted", *seed, "--quiet"])
    return folder / "adapted"


def together(work: Path, worms: Sequence[Worm], _: Worm, spec: str, options: argparse.Namespace) -> Path:
    """All four in one fit, without the last frames of any."""
    run = work / "together"
    if not (run / "summary.json").exists():
        own = [files.write_training(work / "all", each, TRAINING) for each in worms]
        fitted(run, _written(work, spec), own, options.overrides, options.seed)
    return run


def _written(folder: Path, spec: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "spec.yaml"
    path.write_text(spec)
    return path


def _ahead(rates: Floats, worm: Worm) -> Forecasts:
    """From windows (origin, bin, neuron), the last origins without a frame so far ahead left out."""
    return {h: rates[: len(ORIGINS) - h, HISTORY - 1 + h][:, ~worm.held_out] for h in HORIZONS}


def _without_latents(run: Path, worm: Worm) -> Floats:
    """What the run expects of each window (origin, bin, neuron) from each neuron's own noise alone."""
    opened = open_run(run, "best", "cpu")
    emission, session = opened.model.loop.emission, [each.session for each in opened.layout.sessions].index(worm.name)
    n_neuron = worm.activity.shape[1]
    observation = torch.zeros(len(ORIGINS), HISTORY + files.AHEAD, emission.n_unit, dtype=emission.offset.dtype)
    observation[:, :HISTORY, :n_neuron] = torch.as_tensor(files.pasts(worm.activity, ORIGINS))
    seen = (torch.arange(HISTORY + files.AHEAD) < HISTORY)[:, None].expand_as(observation)
    of_it = torch.full((len(ORIGINS),), session)
    offset = emission.offset[of_it][:, None].expand_as(observation)
    with torch.no_grad():
        private, _ = emission.private(observation, seen, offset, of_it)
        alone: Floats = (offset + private)[:, :, :n_neuron].double().numpy()
    return alone


def scores_of(worm: Worm, found: Told) -> dict[str, Any]:
    """R2 of everything, and how much more the model has than each of the others."""
    block = Block(worm.activity[:, ~worm.held_out], TRAINING)
    deviations, model = block.deviations(), block.errors(found.ahead)
    others = {name: block.errors(forecast(block)) for name, forecast in BASELINES.items()}
    others["private_alone"] = block.errors(found.alone)
    hidden = Block(worm.activity[:, worm.held_out], TRAINING)
    spread = np.square(hidden.activity[TRAINING:] - hidden.mean)
    mine = np.square(hidden.activity[TRAINING:] - found.held_out)
    linear = ridge(block.activity, hidden.activity, TRAINING)
    its = np.square(hidden.activity[TRAINING:] - linear[TRAINING:])
    every = {"model": model, **others}
    return {
        "forecast_r2": {name: [mean_r2(e[h], deviations[h]) for h in HORIZONS] for name, e in every.items()},
        "model_less": {
            name: {str(h): difference(model[h], e[h], deviations[h]) for h in HORIZONS} for name, e in others.items()
        },
        "held_out_r2": {"model": mean_r2(mine, spread), "ridge": mean_r2(its, spread)},
        "held_out_less_ridge": difference(mine, its, spread),
    }


def labels_are_worth(worm: Worm, named: Told, nameless: Told) -> dict[str, Any]:
    """R2 with labels less R2 without."""
    block, hidden = Block(worm.activity[:, ~worm.held_out], TRAINING), worm.activity[TRAINING:, worm.held_out]
    deviations, errors = block.deviations(), [block.errors(each.ahead) for each in (named, nameless)]
    spread = np.square(hidden - worm.activity[:TRAINING, worm.held_out].mean(axis=0))
    mine, its = (np.square(hidden - each.held_out) for each in (named, nameless))
    ahead = {str(h): difference(errors[0][h], errors[1][h], deviations[h]) for h in BARS}
    return {"forecast": ahead, "held_out": difference(mine, its, spread)}


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    if not files.WORMS.is_dir():
        return {
            "skipped": f"no {files.WORMS}: set NCYBER_REAL_DATA to a folder that holds worm_whole_brain",
            "passed": {},
        }
    worms = files.read_worms(options.seed)
    found = {arm: [told(work, worms, i, arm, options) for i in range(len(worms))] for arm in ARMS}
    scores = {
        arm: {worm.name: scores_of(worm, each) for worm, each in zip(worms, found[arm], strict=True)} for arm in ARMS
    }
    pairs = zip(worms, found["labels"], found["no_labels"], strict=True)
    worth = {worm.name: labels_are_worth(worm, named, nameless) for worm, named, nameless in pairs}
    return {
        "seed": options.seed,
        "learned": "together" if options.together else "three, then adapted to the fourth",
        "horizons_frames": HORIZONS,
        **scores,
        "labels_are_worth": worth,
        "passed": {**_beaten(scores["labels"], ""), **_beaten(scores["white"], "white_"), **_worth(worth)},
    }


def _beaten(scores: dict[str, dict[str, Any]], prefix: str) -> dict[str, bool]:
    """Whether the interval of every worm lies above zero."""
    said = {
        f"{prefix}{h}_ahead_beats_{name}": all(s["model_less"][name][str(h)]["low"] > 0 for s in scores.values())
        for name in BASELINES
        for h in BARS
    }
    return said | {f"{prefix}held_out_beats_ridge": all(s["held_out_less_ridge"]["low"] > 0 for s in scores.values())}


def _worth(worth: dict[str, dict[str, Any]]) -> dict[str, bool]:
    """Whether labels are worth something in the mean over worms."""
    ahead = {f"labels_help_{h}_ahead": np.mean([w["forecast"][str(h)]["value"] for w in worth.values()]) for h in BARS}
    found = ahead | {"labels_help_held_out": np.mean([w["held_out"]["value"] for w in worth.values()])}
    return {name: bool(value > 0) for name, value in found.items()}


if __name__ == "__main__":
    seeds = "of the fits, and of which neurons are held out"
    options = parser(__doc__, seed=0, seeds=seeds)
    options.add_argument("--together", action="store_true", help="one fit of all four, in place of the rotations")
    sys.exit(run(benchmark, options.parse_args()))
