"""The bar of the switching animal: is the goal that it pursues named in 95 % of bins, and are the goals counted?

Simulates an animal with a seed of its own, fits example_configs/switching.yaml on the command line, and for a null
the same with the prior `jump`, whose objectives are clustered. Names of prototypes are matched to the truth's on
training trials (Hungarian algorithm) and scored on test trials. One JSON object goes to stdout, talk to stderr;
exit 8 below a bar.

    python tests/benchmarks/switching.py --seed 302 --work /tmp/switching
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from kept_steps import fitted, inferred, parser, run, synthesised
from numpy.typing import NDArray
from timed_command import ROOT

from ncyber_cli.data.recording import TEST, TRAIN, Session
from ncyber_cli.outputs.read_results import read_results, session_groups
from ncyber_cli.pipeline.sessions import sessions_of_run
from ncyber_cli.training.checkpoint import load
from ncyber_cli.worlds.truth import Truth, read_truth

SPEC = ROOT / "example_configs" / "switching.yaml"
BAR = 0.95
MOVING_M_S = 0.05
NEAR_S = 0.1  # on either side of a switch
SMOOTHING_BINS = 3  # of the spikes that the supervised decoder is given
Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Animal:
    """A session of a run and the prototype that its animal pursued in each bin, (trial, time)."""

    session: Session
    truth: Truth
    state: Labels

    @property
    def number(self) -> int:
        return sum(name.startswith("prototype_") and name.endswith("_x_m") for name in self.truth.constants)

    @property
    def place(self) -> Floats:
        """Where the prototypes lie, (prototype, 2), in m."""
        constants = self.truth.constants
        return np.array([[constants[f"prototype_{k}_{axis}_m"] for axis in "xy"] for k in range(self.number)])

    def part(self, split: int) -> Mask:
        """Bins (trial, time) of the trials of one split."""
        mask: Mask = self.session.mask & (self.session.split == split)[:, None]
        return mask


def parse() -> argparse.Namespace:
    options = parser(__doc__, seed=302, seeds="of the animal and of the fit")
    options.add_argument("--trials", type=int, default=240, help="stretches of 2 s; 168 of 240 are for training")
    options.add_argument("--prototypes", type=int, default=4, help="goals of the animal")
    options.add_argument("--no-jump", dest="jump", action="store_false", help="leave the prior `jump` out")
    return options.parse_args()


def main() -> int:
    return run(benchmark, parse())


def benchmark(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Make, fit, infer and score; what `work` holds already is not made again."""
    sizes = ["--trials", str(options.trials), "--prototypes", str(options.prototypes)]
    (file,) = synthesised(work / "data", "switching", "--seed", str(options.seed), *sizes)
    costs = {"switching": fitted(work / "switching", SPEC, [file], options.overrides, options.seed)["cpu_s"]}
    results = {name: results_of(work, "switching", file, words) for name, words in _INFERENCES.items()}
    if options.jump:
        override = ["model.objective={prior: jump}"]
        costs["jump"] = fitted(work / "jump", SPEC, [file], [*options.overrides, *override], options.seed)["cpu_s"]
        results["clusters of prior `jump`"] = results_of(work, "jump", file, [])
    animal = read_animal(work / "switching", file)
    labels = {name: clusters_of(path) for name, path in results.items()}
    summary = json.loads((work / "switching" / "summary.json").read_text())
    start = summary["starts"][summary["kept_start"]]
    right = shares(animal, labels)
    return {
        "world": {name: getattr(options, name) for name in ("seed", "trials", "prototypes")},
        "settings": options.overrides,
        "fits_cpu_s": costs,
        "signs": start["signs"],
        "switches_in_test_trials": int(_switches(animal)[animal.part(TEST)].sum()),
        "share_of_bins_right": right,
        "prototypes": start["prototypes"],
        "distance_m": distances(animal, results["smoothed"]),
        "bars": {"share_of_bins_right": BAR, "prototypes": options.prototypes},
        "passed": {
            "share_of_bins_right": right["smoothed"]["all"] >= BAR,
            "prototypes": start["prototypes"]["kept"] == options.prototypes,
        },
    }


_INFERENCES: dict[str, list[str]] = {"smoothed": [], "causal": ["--causal"], "neurons alone": ["--from", "neural"]}


def results_of(work: Path, run: str, file: Path, words: list[str]) -> Path:
    path = work / f"{'_'.join([run, *words]).replace('--', '')}.h5"
    return inferred(path, work / run, [file], words)


def read_animal(run: Path, file: Path) -> Animal:
    checkpoint = load(run / "best.pt")
    (session,) = sessions_of_run(checkpoint.layout, checkpoint.spec, [file])
    truth = read_truth(file)
    known = truth.series["prototype"]
    centres = np.where(session.mask, session.time_s, known.start_s)
    sample = np.floor((centres - known.start_s) / known.bin_s + 1e-3).astype(np.int64)
    state = known.values[sample, 0]  # the last sample by then: an index has no values in between
    assert np.isfinite(state[session.mask]).all()
    return Animal(session, truth, np.where(session.mask, np.rint(state), -1).astype(np.int64))


def clusters_of(path: Path) -> Labels:
    """`objectives/cluster` of the one session of a results file."""
    with read_results(path) as file:
        (group,) = session_groups(file)
        labels: Labels = group["objectives/cluster"][:].astype(np.int64)
    return labels


def shares(animal: Animal, labels: dict[str, Labels]) -> dict[str, dict[str, float]]:
    """Share of test bins named right, by kind of bin, the nulls beside the model."""
    position = animal.session.body[..., :2].astype(np.float64)
    nearest = np.linalg.norm(position[..., None, :] - animal.place, axis=-1).argmin(-1)
    training = animal.part(TRAIN)
    common = np.full_like(nearest, np.bincount(animal.state[training]).argmax())
    estimates = {name: renamed(animal, found) for name, found in labels.items()}
    estimates |= {
        "null: true prototype nearest to the hand": nearest,
        "null: most common prototype": common,
        "supervised: logistic regression from spikes and hand": supervised(animal),
    }
    return {
        name: {kind: round(float((found == animal.state)[bins].mean()), 4) for kind, bins in kinds(animal).items()}
        for name, found in estimates.items()
    }


def kinds(animal: Animal) -> dict[str, Mask]:
    """Test bins: all, those with a moving hand, and those that no switch is near."""
    test = animal.part(TEST)
    moving = np.linalg.norm(animal.session.body[..., 2:], axis=-1) > MOVING_M_S
    reach = round(NEAR_S / animal.session.bin_s)
    near, switches = np.zeros_like(test), _switches(animal)
    for shift in range(-reach, reach + 1):
        near |= np.roll(switches, shift, axis=1)
    return {"all": test, "moving": test & moving, "no switch within 0.1 s": test & ~near}


def _switches(animal: Animal) -> Mask:
    """The first bin (trial, time) of each new prototype."""
    switches = np.zeros_like(animal.session.mask)
    switches[:, 1:] = (np.diff(animal.state, axis=1) != 0) & animal.session.mask[:, 1:]
    return switches


def renamed(animal: Animal, labels: Labels) -> Labels:
    """Labels by the truth's names, matched one to one on training trials; -1 where a label has no counterpart."""
    from scipy.optimize import linear_sum_assignment

    training = animal.part(TRAIN) & (labels >= 0)
    together = np.zeros((max(labels.max() + 1, animal.number), animal.number))
    np.add.at(together, (labels[training], animal.state[training]), 1)
    names = np.full(len(together) + 1, -1)  # the last one stands for the label -1
    found, true = linear_sum_assignment(-together)
    names[found] = true
    matched: Labels = names[labels]
    return matched


def supervised(animal: Animal) -> Labels:
    """What a decoder makes of smoothed spikes and the hand that is told the true prototypes of training trials."""
    from scipy.ndimage import gaussian_filter1d
    from sklearn.linear_model import LogisticRegression

    session = animal.session
    counts = session.observation[..., ~session.held_out].astype(np.float64)
    inputs = np.concatenate([gaussian_filter1d(counts, SMOOTHING_BINS, axis=1), session.body], axis=-1)
    training = animal.part(TRAIN)
    centre, scale = inputs[training].mean(0), inputs[training].std(0)
    standard = np.nan_to_num((inputs - centre) / scale)
    decoder = LogisticRegression(C=0.1, max_iter=200).fit(standard[training], animal.state[training])
    found: Labels = decoder.predict(standard.reshape(-1, standard.shape[-1])).reshape(animal.state.shape)
    return found


def distances(animal: Animal, path: Path) -> list[float]:
    """How far from each true prototype the nearest one lies that was found, in m."""
    with read_results(path) as file:
        (group,) = session_groups(file)
        mean = group["objectives/prototype_mean"][:].astype(np.float64)
    gaps = np.linalg.norm(animal.place[:, None] - mean[None], axis=-1).min(1)
    return [round(float(gap), 4) for gap in gaps]


if __name__ == "__main__":
    sys.exit(main())
