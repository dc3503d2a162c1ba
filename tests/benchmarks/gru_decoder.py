"""The supervised causal decoder: a GRU that is told the true target of every training trial.

It knows what no model of an animal may know, so that it is a ceiling rather than a null.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ncyber_cli.outputs.metrics.nulls import Predict, Trials

_HIDDEN, _DROPOUT, _EPOCHS, _BATCH, _RATE = 64, 0.3, 150, 32, 3e-3


class CausalGru:
    """Counts and recorded behaviour up to a bin to the target in it; the best epoch is chosen on validation trials."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, train: Trials, validation: Trials) -> Predict:
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return self._fit(train, validation)

    def _fit(self, train: Trials, validation: Trials) -> Predict:
        body_mean, body_sd = np.nanmean(train.body[train.mask], 0), np.nanstd(train.body[train.mask], 0)
        mean, sd = np.nanmean(train.target[train.mask], 0), np.nanstd(train.target[train.mask], 0)

        def shown(trials: Trials) -> torch.Tensor:
            body = np.nan_to_num((trials.body - body_mean) / body_sd)
            step = np.diff(body, axis=1, prepend=body[:, :1]) / 0.1
            return torch.from_numpy(np.concatenate([np.nan_to_num(trials.counts), body, step], 2)).float()

        def wanted(trials: Trials) -> torch.Tensor:
            known = np.where(trials.mask[:, :, None], (trials.target - mean) / sd, np.nan)
            return torch.from_numpy(known).float()

        inputs, targets = shown(train), wanted(train)
        unseen, unseen_targets = shown(validation), wanted(validation)
        net = _Net(inputs.shape[2], targets.shape[2])
        optimizer = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=1e-2)
        best, kept = math.inf, copy.deepcopy(net.state_dict())
        for epoch in range(_EPOCHS):
            for group in optimizer.param_groups:
                group["lr"] = _RATE * 0.5 * (1 + math.cos(math.pi * epoch / _EPOCHS))
            net.train()
            for rows in torch.randperm(len(inputs)).split(_BATCH):
                loss = _error(net(inputs[rows]), targets[rows])
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
            net.eval()
            with torch.no_grad():
                error = float(_error(net(unseen), unseen_targets))
            if error < best:
                best, kept = error, copy.deepcopy(net.state_dict())
        net.load_state_dict(kept)
        net.eval()

        def predict(test: Trials) -> NDArray[np.float64]:
            with torch.no_grad():
                found: NDArray[np.float64] = mean + sd * net(shown(test)).double().numpy()
            return found

        return predict


class _Net(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.inputs = nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(n_in, _HIDDEN), nn.Tanh())
        self.gru = nn.GRU(_HIDDEN, _HIDDEN, batch_first=True)
        self.out = nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(_HIDDEN, n_out))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.out(self.gru(self.inputs(values))[0])
        return found


def _error(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    known = ~torch.isnan(wanted)
    return (found[known] - wanted[known]).square().mean()
