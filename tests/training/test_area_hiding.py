"""An area is hidden whole, only where another is left, only if some session lacks one, and is scored all the same."""

from __future__ import annotations

from dataclasses import replace

import torch
from tiny import make_session, make_tiny

from ncyber_cli.data.batches import Cohort
from ncyber_cli.training.area_hiding import area_hiding
from ncyber_cli.training.blinding import draw_blinding

NAMES, CPU = ("M1", "PMd"), torch.device("cpu")


def test_where_every_session_has_every_area_nothing_is_drawn() -> None:
    sessions = [make_session("a", "s0"), make_session("b", "s1", units=4)]
    assert area_hiding(Cohort(sessions, ["a", "b"]), NAMES, CPU) is None
    assert area_hiding(Cohort(sessions, ["a", "b"]), ("M1 and PMd",), CPU) is None


def test_a_hidden_area_is_hidden_whole_and_scored() -> None:
    whole, lacking = make_session("a", "s0", trials=200, units=6), make_session("b", "s1", trials=40, units=4)
    cohort = Cohort([whole, replace(lacking, unit_area=["M1"] * 4)], ["a", "b"])
    hiding = area_hiding(cohort, NAMES, CPU)
    assert hiding is not None
    batch, generator = cohort.batch(cohort.picks()), torch.Generator().manual_seed(0)
    before = draw_blinding(batch, make_tiny("several_areas").spec.inference, generator)
    after = hiding.applied(before, batch, generator)
    assert before.keep is not None
    assert after.keep is not None
    changed = (before.keep & ~after.keep).any(1)  # (trial, unit)
    assert not changed[batch.session == 1].any()
    own = changed[batch.session == 0]
    m1, pmd = own[:, 0:6:2], own[:, 1:6:2]
    assert torch.all(m1.all(1) == m1.any(1))
    assert torch.all(pmd.all(1) == pmd.any(1))
    assert not (m1.any(1) & pmd.any(1)).any()
    assert 0.2 < own.any(1).double().mean() < 0.4
    assert 0.3 < m1.any(1).sum() / own.any(1).sum() < 0.7
    assert torch.equal(after.scored, before.scored)
    kept = after.keep.any(1)
    assert torch.all(kept.any(1))
