"""A session that could not be aligned keeps the rotation under which the model explains it best; others stay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tiny import Tiny, make_tiny

from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.training import try_rotations as module
from ncyber_cli.training.align import Alignment
from ncyber_cli.training.common_basis import SessionAlignment
from ncyber_cli.training.try_rotations import try_rotations

SPREAD = np.diag([1.0, 2.0, 3.0])


def alignment(session: str, *, named: bool) -> SessionAlignment:
    found = Alignment(np.eye(3), None if named else "dynamics", named=named)
    return SessionAlignment("a", session, {"brain": found}, [(slice(0, 3), SPREAD, 0.5)])


def tried(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, named: Sequence[bool]) -> tuple[list[SessionAlignment], int]:
    """Scores say how far each uncertain session's rotation is from turning the first latent into the second."""
    begun: list[Sequence[SessionAlignment]] = []

    def begin(turned: Sequence[SessionAlignment]) -> NeuroModel:
        begun.append(turned)
        return tiny.model

    def scores(*_: object) -> list[float]:
        return [each.areas["brain"].rotation[0, 1] for each in begun[-1] if each.named]

    monkeypatch.setattr(module, "_scores", scores)
    alignments = [alignment(f"s{index}", named=each) for index, each in enumerate(named)]
    return try_rotations(alignments, begin, tiny.cohort, tiny.spec, 0), len(begun)


def test_the_best_rotation_is_kept_in_the_session_that_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    (sure, unsure), begun = tried(make_tiny("brain_only"), monkeypatch, [False, True])
    assert begun == 7
    np.testing.assert_array_equal(sure.areas["brain"].rotation, np.eye(3))
    turned = unsure.areas["brain"].rotation
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-12)
    assert turned[0, 1] > 0.3
    np.testing.assert_allclose(unsure.maps[0][1], turned @ SPREAD)
    assert unsure.maps[0][2] == 0.5


def test_nothing_is_tried_where_all_is_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    found, begun = tried(make_tiny("brain_only"), monkeypatch, [False, False])
    assert begun == 0
    assert len(found) == 2


def test_a_try_leaves_the_model_what_it_was_trained_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The score is the ELBO a bin of training trials after a few steps of the spec's own optimiser."""
    tiny = make_tiny("brain_only", dtype="float32")
    with monkeypatch.context() as patch:
        patch.setattr(module, "_STEPS", 2)
        before = module.evaluate(tiny.model, tiny.cohort, tiny.cohort.picks(0, 0), tiny.spec.inference).elbo_nats
        [after] = module._scores(tiny.model, tiny.cohort, tiny.spec, 0, [0])
    assert np.isfinite(after)
    assert after != before
