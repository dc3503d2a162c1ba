"""`ncyber compare`: how the animals of a run differ, with uncertainty, in terms that do not depend on a basis."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ncyber_cli.atomic import check_writable, refuse_existing, refuse_inputs, write_text
from ncyber_cli.errors import NumericalError
from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.rollout import Scene, rollout
from ncyber_cli.inference.trial_noise import PathNoise, TrialKey, path_noise
from ncyber_cli.model.meta import Embedding
from ncyber_cli.outputs.metrics import Mode, modes, shape_distance
from ncyber_cli.pipeline.open_run import OpenRun, open_run
from ncyber_cli.pipeline.run_folder import SUMMARY
from ncyber_cli.pipeline.scenes import UsualTrials, usual_steps
from ncyber_cli.reporting import table

_TRIALS = 16  # rollouts an animal behind each spectrum and distance
_STEPS = 100  # bins of a rollout at least: a slow mode does not show in a short one
_COLUMNS = ["animal", "trials", "embedding", "slowest", "frequency", "nearest"]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class CompareOptions:
    draws: int = 16  # of the embeddings' posterior
    seed: int = 0
    checkpoint: str = "best"
    device: str = "auto"
    overwrite: bool = False


@dataclass(frozen=True)
class _Begun:
    """Where rollouts of each animal begin, and the noise that all of them share, so that they begin alike."""

    scenes: list[Scene]
    noise: PathNoise


@dataclass(frozen=True)
class _Dynamics:
    """Of one draw of all embeddings: each animal's modes, and the distance of every pair."""

    modes: list[list[Mode]]
    distance: Array  # (animal, animal)


def compare_run(run: Path, out: Path | None, options: CompareOptions, *, as_json: bool = False) -> None:
    """Print one line an animal, and write everything to `out`.

    Raises UsageError if `out` exists, CheckpointError and ResourceError for what cannot be read or written, and
    NumericalError for a run whose rollouts are not finite.
    """
    if out is not None:
        refuse_existing(out, overwrite=options.overwrite)
    opened = open_run(run, options.checkpoint, options.device)
    if out is not None:
        refuse_inputs([out], [opened.path])
        check_writable(out.parent)
    found = _individuals(opened, options)
    if out is not None:
        write_text(out, json.dumps(found, indent=2) + "\n")
    if as_json:
        print(json.dumps(found, indent=2))
        return
    table([_row(found, index) for index in range(len(found["animals"]))], _COLUMNS)
    if out is not None:
        print(f"wrote {out}")


def _individuals(run: OpenRun, options: CompareOptions) -> dict[str, Any]:
    begun = _begun(run, options.seed)
    at_mean = _dynamics(run, run.model, begun)
    if at_mean is None:
        what = "rollouts of its animals run away"
        raise NumericalError(what, where=str(run.path), remedy="fit longer, or with a lower training.learning_rate")
    every = (_dynamics(run, model, begun) for model in _drawn(run.model, options))
    draws = [draw for draw in every if draw is not None]
    distance_sd = np.std([draw.distance for draw in draws], axis=0) if draws else np.zeros_like(at_mean.distance)
    constants = _constants(run)
    individuals = run.model.loop.brain.individuals
    animals = [
        {
            "animal": animal,
            "trials": sum(len(each.trial_id) for each in run.layout.sessions if each.animal == animal),
            "embedding": _posterior(individuals.animals, index),
            "modes": [
                _mode_with_sd(mode, [draw.modes[index] for draw in draws], place)
                for place, mode in enumerate(at_mean.modes[index])
            ],
            "constants": constants.get(animal, {}),
        }
        for index, animal in enumerate(run.layout.animals)
    ]
    sessions = [
        {"animal": each.animal, "session": each.session, "embedding": _posterior(individuals.sessions, index)}
        for index, each in enumerate(run.layout.sessions)
        if individuals.sessions.size
    ]
    distance = {"mean": at_mean.distance.tolist(), "sd": distance_sd.tolist()}
    return {"animals": animals, "sessions": sessions, "distance": distance, "draws": len(draws)}


def _posterior(embedding: Embedding, member: int) -> dict[str, list[float]]:
    return {"mean": embedding.mean[member].tolist(), "sd": embedding.log_sd[member].exp().tolist()}


def _drawn(model: NeuroModel, options: CompareOptions) -> list[NeuroModel]:
    """Copies of the model whose animals have embeddings drawn from their posterior; none where nobody differs."""
    embedding = model.loop.brain.individuals.animals
    if not embedding.size:
        return []
    generator = torch.Generator().manual_seed(options.seed)
    copies = []
    for _ in range(options.draws):
        drawn = deepcopy(model)
        noise = torch.randn(embedding.mean.shape, generator=generator).to(embedding.mean)
        drawn.loop.brain.individuals.animals.mean.data += embedding.log_sd.exp() * noise
        copies.append(drawn)
    return copies


def _begun(run: OpenRun, seed: int) -> _Begun:
    steps = max(_STEPS, usual_steps(run))
    scenes = []
    for animal in run.layout.animals:
        source = UsualTrials(run, animal, _TRIALS, steps)
        (some,) = source.pieces(_TRIALS)
        scenes.append(source.scene(some, seed=seed, sample=0))
    keys = [TrialKey("", "", str(trial)) for trial in range(_TRIALS)]
    return _Begun(scenes, path_noise(run.model, keys, steps, seed, 0))


def _dynamics(run: OpenRun, model: NeuroModel, begun: _Begun) -> _Dynamics | None:
    """None where a rollout runs away, as it may far from where any animal is."""
    paths = [rollout(model, scene, begun.noise)["latents"].float().cpu().numpy() for scene in begun.scenes]
    if not all(np.isfinite(path).all() for path in paths):
        return None
    distance = np.zeros((len(paths), len(paths)))
    for one, path in enumerate(paths):
        for other in range(one):
            distance[one, other] = distance[other, one] = shape_distance(path, paths[other])
    return _Dynamics([modes(path, run.layout.bin_s) for path in paths], distance)


def _mode_with_sd(mode: Mode, draws: Sequence[Sequence[Mode]], place: int) -> dict[str, float | None]:
    """A mode, and how it varies over draws of the embedding: of the draw's mode of that place, counted from slow."""
    same = [draw[place] for draw in draws if place < len(draw)]
    found: dict[str, float | None] = asdict(mode)
    for name in ("time_constant_s", "frequency_hz"):
        values = [value for value in (getattr(each, name) for each in same) if value is not None]
        found[f"{name}_sd"] = float(np.std(values)) if len(values) > 1 else None
    return found


def _constants(run: OpenRun) -> dict[str, Any]:
    """Each animal's constants as the fit's summary has them."""
    summary = run.path.parent / SUMMARY
    if not summary.exists():
        return {}
    animals = json.loads(summary.read_text(encoding="utf-8")).get("animals", [])
    return {each["animal"]: each.get("constants", {}) for each in animals}


def _row(found: dict[str, Any], index: int) -> dict[str, Any]:
    animal, names = found["animals"][index], [each["animal"] for each in found["animals"]]
    row = {"animal": animal["animal"], "trials": animal["trials"]}
    embedding = animal["embedding"]
    row["embedding"] = " ".join(
        f"{mean:+.2f} ({sd:.2f})" for mean, sd in zip(embedding["mean"], embedding["sd"], strict=True)
    )
    slowest = animal["modes"][0]
    row["slowest"] = _number(slowest, "time_constant_s", "s")
    turning = next((mode for mode in animal["modes"] if mode["frequency_hz"] > 0), None)
    row["frequency"] = None if turning is None else _number(turning, "frequency_hz", "Hz")
    if len(names) > 1:
        mean, sd = (np.array(found["distance"][name][index]) for name in ("mean", "sd"))
        nearest = min((other for other in range(len(names)) if other != index), key=lambda other: mean[other])
        row["nearest"] = f"{names[nearest]} at {mean[nearest]:.2f} ({sd[nearest]:.2f})"
    return row


def _number(mode: dict[str, float | None], name: str, unit: str) -> str:
    value, sd = mode[name], mode[f"{name}_sd"]
    if value is None:
        return "does not decay"
    return f"{value:.3g} {unit}" if sd is None else f"{value:.3g} ({sd:.1g}) {unit}"
