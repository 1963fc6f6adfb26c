"""Bounds, thresholds, rates and time scales as plain functions of numbers, one concept a module.

Nothing here knows the dynamics: the inputs are the data, a minimiser, or numbers.
"""

from deepfact.theory.asymptotics import Asymptote, first_order_correction, l1_error_exponent
from deepfact.theory.imbalance import sign_change_time, single_product_weights
from deepfact.theory.l1_gap import (
    guaranteed_gap,
    init_scale_bound,
    l1_gap_bound,
    l1_gap_bound_sharp,
    sign_counterexample,
    weighted_l1_gap_bound,
)
from deepfact.theory.logarithms import (
    log_escape_time,
    log_init_scale_bound,
    log_l1_gap_bound,
    log_l1_gap_bound_sharp,
)
from deepfact.theory.recovery import recovery_threshold, recovery_window
from deepfact.theory.selection import selection_criterion
from deepfact.theory.time_scales import (
    descent_damping,
    escape_time,
    plateau_exponents,
    stability_limit,
)
from deepfact.theory.worst_case import (
    worst_case_constant,
    worst_case_gap,
    worst_case_problem,
    worst_case_supremum,
)

__all__ = [
    "Asymptote",
    "descent_damping",
    "escape_time",
    "first_order_correction",
    "guaranteed_gap",
    "init_scale_bound",
    "l1_error_exponent",
    "l1_gap_bound",
    "l1_gap_bound_sharp",
    "log_escape_time",
    "log_init_scale_bound",
    "log_l1_gap_bound",
    "log_l1_gap_bound_sharp",
    "plateau_exponents",
    "recovery_threshold",
    "recovery_window",
    "selection_criterion",
    "sign_change_time",
    "sign_counterexample",
    "single_product_weights",
    "stability_limit",
    "weighted_l1_gap_bound",
    "worst_case_constant",
    "worst_case_gap",
    "worst_case_problem",
    "worst_case_supremum",
]
