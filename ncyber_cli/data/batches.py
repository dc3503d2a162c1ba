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

Picks = NDArray[np.int64]  # (trial, 2): session index, trial index


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

    def batch(self, picks: Picks, dtype: torch.dtype | None = None) -> Batch:
        """The named trials, in the order of `picks`, padded to their longest trial."""
        order = [(i, np.flatnonzero(picks[:, 0] == i)) for i in np.unique(picks[:, 0])]
        n_time = 0
        for i, _ in order:
            mask = self.sessions[i].mask[picks[picks[:, 0] == i, 1]]
            n_time = max(n_time, int(mask.any(0).nonzero()[0].max()) + 1)
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
        }
        for i, rows in order:
            self._fill(wide, rows, self.sessions[i], picks[rows, 1], n_time)
        tensors: dict[str, Any] = {name: torch.from_numpy(values) for name, values in wide.items()}
        for name in ("observation", "body", "input", "force", "when"):
            tensors[name] = tensors[name].to(dtype or self.dtype)
        tensors["session"] = torch.from_numpy(picks[:, 0].copy())
        tensors["animal"] = torch.from_numpy(self.animal_of[picks[:, 0]])
        return Batch(**tensors)

    @staticmethod
    def _fill(
        wide: dict[str, NDArray[Any]], rows: NDArray[Any], session: Session, trials: NDArray[Any], n_time: int
    ) -> None:
        n_unit, n_bin = len(session.unit_id), min(n_time, session.mask.shape[1])
        mask = session.mask[trials, :n_bin]
        counts = session.observation[trials, :n_bin].astype(np.float32)
        seen = ~np.isnan(counts) & mask[:, :, None]
        wide["observation"][rows, :n_bin, :n_unit] = np.where(seen, counts, 0)
        wide["observed"][rows, :n_bin, :n_unit] = seen
        wide["encodable"][rows, :n_unit] = ~session.held_out
        body = session.body[trials, :n_bin]
        recorded = ~np.isnan(body) & mask[:, :, None]
        wide["body"][rows, :n_bin] = np.where(recorded, body, 0)
        wide["body_recorded"][rows, :n_bin] = recorded
        wide["input"][rows, :n_bin] = session.input[trials, :n_bin] * mask[:, :, None]
        wide["force"][rows, :n_bin] = session.force[trials, :n_bin] * mask[:, :, None]
        wide["mask"][rows, :n_bin] = mask
        wide["when"][rows] = session.clock()[trials]

    def batches(
        self, picks: Picks, size: int, generator: torch.Generator | None = None
    ) -> Iterator[tuple[Picks, Batch]]:
        """Batches over `picks`, shuffled where a generator is given."""
        if generator is not None:
            picks = picks[torch.randperm(len(picks), generator=generator).numpy()]
        for start in range(0, len(picks), size):
            chosen = picks[start : start + size]
            yield chosen, self.batch(chosen)
