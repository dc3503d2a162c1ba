"""From sessions to the padded tensors of one step: all animals and sessions side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from ncyber_cli.data.recording import Session

# (trial, 2): session index, trial index; of windows two more: the first bin in the trial, and the one after the last.
Picks = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Trials of any sessions, padded to the same number of bins and units."""

    observation: Float[Tensor, "trial time unit"]  # zeros where not observed
    observed: Bool[Tensor, "trial time unit"]
    encodable: Bool[Tensor, "trial unit"]  # False for held-out and padded units
    session: Int[Tensor, " trial"]
    animal: Int[Tensor, " trial"]
    body: Float[Tensor, "trial time n_body"]  # zeros where not recorded
    body_recorded: Bool[Tensor, "trial time n_body"]
    input: Float[Tensor, "trial time n_input"]
    force: Float[Tensor, "trial time n_force"]
    mask: Bool[Tensor, "trial time"]  # False after the end of a trial
    when: Float[Tensor, " trial"]  # the session's clock as the trial begins
    midway: Bool[Tensor, " trial"]  # True for windows that begin after their trial

    def to(self, device: torch.device | str) -> Batch:
        moved = {f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)}
        return Batch(**moved)

    def with_bins(self, n_time: int) -> Batch:
        """Cut to so many bins, or padded with bins after every trial's end."""

        def fitted(values: Tensor) -> Tensor:
            missing = values.new_zeros(len(values), max(0, n_time - values.shape[1]), *values.shape[2:])
            return torch.cat([values[:, :n_time], missing], 1)

        timed = ("observation", "observed", "body", "body_recorded", "input", "force", "mask")
        return replace(self, **{name: fitted(getattr(self, name)) for name in timed})

    def until(self, bins: Int[Tensor, " trial"]) -> Batch:
        """The first `bins` bins of each trial, as if the recording had ended there."""
        mask = self.mask & (torch.arange(self.mask.shape[1], device=bins.device) < bins[:, None])
        here = mask[:, :, None]
        return replace(
            self,
            observation=self.observation * here,
            observed=self.observed & here,
            body=self.body * here,
            body_recorded=self.body_recorded & here,
            input=self.input * here,
            force=self.force * here,
            mask=mask,
        )


def joined(first: Batch, second: Batch) -> Batch:
    """The trials of both, one after the other, padded to the longest of them."""
    n_time = max(first.mask.shape[1], second.mask.shape[1])
    both = (first.with_bins(n_time), second.with_bins(n_time))
    return Batch(**{field.name: torch.cat([getattr(one, field.name) for one in both]) for field in fields(Batch)})


class Cohort:
    """The sessions of a run and how they are stacked; animals and sessions are known by their index."""

    def __init__(
        self,
        sessions: Sequence[Session],
        animals: Sequence[str],
        n_unit: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.sessions = list(sessions)
        self.animals = list(animals)
        self.animal_of = np.array([self.animals.index(s.animal) for s in sessions], dtype=np.int64)
        self.n_unit = n_unit or max(len(s.unit_id) for s in sessions)
        self.n_time = max(s.mask.shape[1] for s in sessions)
        self.dtype = dtype

    def picks(self, split: int | None = None, session: int | None = None) -> Picks:
        """Every (session, trial) of a split (TRAIN, VALIDATION, TEST; None for all), in file order."""
        chosen = range(len(self.sessions)) if session is None else [session]
        rows = [
            np.stack([np.full(len(trials), i), trials], axis=1)
            for i in chosen
            for trials in [np.flatnonzero(self.sessions[i].split == split) if split is not None
                           else np.arange(len(self.sessions[i].split))]
        ]  # fmt: skip
        return np.concatenate(rows).astype(np.int64)

    def bins(self, picks: Picks) -> NDArray[np.int64]:
        """How many bins each of the named trials or windows has, (trial,)."""
        if picks.shape[1] > 2:
            return picks[:, 3] - picks[:, 2]
        found = np.zeros(len(picks), np.int64)
        for i in np.unique(picks[:, 0]):
            rows = picks[:, 0] == i
            found[rows] = self.sessions[i].mask[picks[rows, 1]].sum(axis=1)
        return found

    def batch(self, picks: Picks, dtype: torch.dtype | None = None) -> Batch:
        """The named trials or windows, in the order of `picks`, padded to the longest of them."""
        order = [(i, np.flatnonzero(picks[:, 0] == i)) for i in np.unique(picks[:, 0])]
        n_time = int(self.bins(picks).max())
        first = self.sessions[0]
        n = len(picks)
        wide = {
            "observation": np.zeros((n, n_time, self.n_unit), np.float32),
            "observed": np.zeros((n, n_time, self.n_unit), bool),
            "encodable": np.zeros((n, self.n_unit), bool),
            "body": np.zeros((n, n_time, first.body.shape[2]), np.float32),
            "body_recorded": np.zeros((n, n_time, first.body.shape[2]), bool),
            "input": np.zeros((n, n_time, first.input.shape[2]), np.float32),
            "force": np.zeros((n, n_time, first.force.shape[2]), np.float32),
            "mask": np.zeros((n, n_time), bool),
            "when": np.zeros(n, np.float64),
            "midway": picks[:, 2] > 0 if picks.shape[1] > 2 else np.zeros(n, bool),
        }
        for i, rows in order:
            self._fill(wide, rows, self.sessions[i], picks[rows], n_time)
        tensors: dict[str, Any] = {name: torch.from_numpy(values) for name, values in wide.items()}
        for name in ("observation", "body", "input", "force", "when"):
            tensors[name] = tensors[name].to(dtype or self.dtype)
        tensors["session"] = torch.from_numpy(picks[:, 0].copy())
        tensors["animal"] = torch.from_numpy(self.animal_of[picks[:, 0]])
        return Batch(**tensors)

    @staticmethod
    def _fill(wide: dict[str, NDArray[Any]], rows: NDArray[Any], session: Session, picks: Picks, n_time: int) -> None:
        n_unit, n_bin = len(session.unit_id), min(n_time, session.mask.shape[1])
        place, mask = _cut(session, picks, n_bin)
        counts = session.observation[place].astype(np.float32)
        seen = ~np.isnan(counts) & mask[:, :, None]
        wide["observation"][rows, :n_bin, :n_unit] = np.where(seen, counts, 0)
        wide["observed"][rows, :n_bin, :n_unit] = seen
        wide["encodable"][rows, :n_unit] = ~session.held_out
        body = session.body[place]
        recorded = ~np.isnan(body) & mask[:, :, None]
        wide["body"][rows, :n_bin] = np.where(recorded, body, 0)
        wide["body_recorded"][rows, :n_bin] = recorded
        wide["input"][rows, :n_bin] = session.input[place] * mask[:, :, None]
        wide["force"][rows, :n_bin] = session.force[place] * mask[:, :, None]
        wide["mask"][rows, :n_bin] = mask
        wide["when"][rows] = session.clock()[picks[:, 1]]

    def batches(
        self, picks: Picks, size: int, generator: torch.Generator | None = None
    ) -> Iterator[tuple[Picks, Batch]]:
        """Batches over `picks`, shuffled where a generator is given."""
        if generator is not None:
            picks = picks[torch.randperm(len(picks), generator=generator).numpy()]
        for start in range(0, len(picks), size):
            chosen = picks[start : start + size]
            yield chosen, self.batch(chosen)


def _cut(session: Session, picks: Picks, n_bin: int) -> tuple[tuple[Any, Any], NDArray[np.bool_]]:
    """Where `n_bin` bins of each trial or window lie in the session's arrays, and which of them there are."""
    if picks.shape[1] == 2:
        whole = (picks[:, 1], slice(n_bin))
        return whole, session.mask[whole]
    bins = picks[:, 2:3] + np.arange(n_bin)
    place = (picks[:, 1:2], np.minimum(bins, session.mask.shape[1] - 1))
    return place, session.mask[place] & (bins < picks[:, 3:])
