"""The main theorem, signed model: statements S2 and S3."""

from deepfact.experiments.l1_gap import (
    checks,
    describe,
    describe_instance,
    measure_gaps,
    measure_instance,
)
from deepfact.experiments.l1_gap_figure import figure, figure_data

__all__ = [
    "checks",
    "describe",
    "describe_instance",
    "figure",
    "figure_data",
    "measure_gaps",
    "measure_instance",
]
