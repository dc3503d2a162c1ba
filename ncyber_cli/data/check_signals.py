"""Whether sampled activity can be what the model takes it for: positive where it has to be, and recorded at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ncyber_cli.data.recording import NeuralStream, Sampled
from ncyber_cli.errors import DataError
from ncyber_cli.spec import NeuralSource, Spec


def check_signals(streams: Sequence[NeuralStream], spec: Spec, where: str) -> None:
    """Raise DataError for values below zero where only positive ones have a likelihood, and if nothing was recorded."""
    for stream, source in zip(streams, spec.data.neural, strict=True):
        _check_positive(stream, source, spec, f"{where}: {source.source}")
    sampled = [stream.activity.values for stream in streams if isinstance(stream.activity, Sampled)]
    if len(sampled) == len(streams) and all(np.isnan(values).all() for values in sampled):
        raise DataError("no unit has a recorded value", where=where, remedy="check the neural source, or drop the file")


def _check_positive(stream: NeuralStream, source: NeuralSource, spec: Spec, where: str) -> None:
    asked = spec.model.emission_of(source.kind)
    positive = source.kind == "events" if asked is None else asked.kind == "zero_inflated_gamma"
    if positive and isinstance(stream.activity, Sampled) and bool(np.any(stream.activity.values < 0)):
        low = float(np.nanmin(stream.activity.values))
        what = f"zero_inflated_gamma needs values of zero and more, one is {low:.3g}"
        remedy = "write kind: calcium for fluorescence, or give deconvolved events"
        raise DataError(what, where=where, remedy=remedy)
