"""Definitions of every score, as plain functions of arrays. They are a contract: two runs compare by them.

Arrays are (trial, time, feature); a mask is (trial, time), True where a bin is scored. A NaN in the truth is
an entry without truth and is not scored; a NaN in an estimate that is scored is refused, because scoring an
estimate only where it exists would flatter it.
"""

from ncyber_cli.outputs.metrics.bits import (
    BitsPerSpike,
    co_bps,
    expected_bits_per_spike,
    fp_bps,
    mean_counts,
    poisson_bits_per_spike,
)
from ncyber_cli.outputs.metrics.calibration import interval_coverage, region_coverage
from ncyber_cli.outputs.metrics.dynamics import Mode, modes, shape_distance
from ncyber_cli.outputs.metrics.evidence import Interval, paired_bootstrap
from ncyber_cli.outputs.metrics.linear_maps import (
    AffineMap,
    Examples,
    affine_map_r2,
    behavior_r2,
    fit_affine,
    fit_ridge,
)
from ncyber_cli.outputs.metrics.over_time import ForecastR2, TimeCourse, bin_at, forecast_r2, objective_r2_by_time
from ncyber_cli.outputs.metrics.predictive import Spread, fit_spread
from ncyber_cli.outputs.metrics.variance import control_r2, psth_r2, r2, r2_per_feature, rate_r2

__all__ = [
    "AffineMap",
    "BitsPerSpike",
    "Examples",
    "ForecastR2",
    "Interval",
    "Mode",
    "Spread",
    "TimeCourse",
    "affine_map_r2",
    "behavior_r2",
    "bin_at",
    "co_bps",
    "control_r2",
    "expected_bits_per_spike",
    "fit_affine",
    "fit_ridge",
    "fit_spread",
    "forecast_r2",
    "fp_bps",
    "interval_coverage",
    "mean_counts",
    "modes",
    "objective_r2_by_time",
    "paired_bootstrap",
    "poisson_bits_per_spike",
    "psth_r2",
    "r2",
    "r2_per_feature",
    "rate_r2",
    "region_coverage",
    "shape_distance",
]
