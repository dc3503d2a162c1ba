"""Where in time a control holds."""

from __future__ import annotations

import torch

from ncyber_cli.inference.bin_centres import at_bin_centres


def test_a_command_that_grows_steadily_is_written_at_the_time_it_had() -> None:
    """Step t holds what the command was halfway between the centres of bins t-1 and t."""
    centre = torch.arange(6, dtype=torch.float64)
    steps = (centre - 0.5)[:, None, None].expand(-1, 2, 1)
    found = at_bin_centres(steps, torch.ones(2, 6, dtype=torch.bool))
    torch.testing.assert_close(found[:-1, :, 0], centre[:-1, None].expand(-1, 2))
    torch.testing.assert_close(found[-1], steps[-1])


def test_bins_after_a_trials_end_change_nothing() -> None:
    steps = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(6) < torch.tensor([[4], [6]])
    dirty = torch.where(mask.T[..., None], steps, torch.nan)
    clean, kept = at_bin_centres(steps, mask), mask.T
    torch.testing.assert_close(at_bin_centres(dirty, mask)[kept], clean[kept])
    torch.testing.assert_close(clean[3, 0], steps[3, 0])
