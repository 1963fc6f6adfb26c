"""Bounds, thresholds, rates and time scales as plain functions of numbers, one concept a module.

Nothing here knows the dynamics: the inputs are the data, a minimiser, or numbers.
"""

from deepfact.theory.arc_cosine import kernel_distance, kernel_residuals, relu_kernel
from deepfact.theory.asymptotics import Asymptote, first_order_correction, l1_error_exponent
from deepfact.theory.balance import imbalance_factors, imbalances, layer_balance_gain
from deepfact.theory.deep_linear import (
    balanced_limit,
    condition_with_depth,
    end_to_end_curl,
    end_to_end_dual,
    end_to_end_velocity,
)
from deepfact.theory.imbalance import sign_change_time, single_product_weights
from deepfact.theory.kaczmarz import kaczmarz_errors, kaczmarz_floor
from deepfact.theory.kernel_regime import kernel_distance_bound
from deepfact.theory.l1_gap import (
    guaranteed_gap,
    init_scale_bound,
    l1_gap_bound,
    l1_gap_bound_sharp,
    sign_counterexample,
    weighted_l1_gap_bound,
)
from deepfact.theory.lazy import guaranteed_rate, lazy_distance, lazy_distance_correction
from deepfact.theory.logarithms import (
    log_escape_time,
    log_init_scale_bound,
    log_l1_gap_bound,
    log_l1_gap_bound_sharp,
)
from deepfact.theory.phase_retrieval import (
    AnchorCone,
    anchor_cone,
    phase_max_ratio,
    phase_max_success,
    spanning_probability,
)
from deepfact.theory.recovery import recovery_threshold, recovery_window
from deepfact.theory.ridgeless import (
    EffectiveRanks,
    RidgeRisk,
    effective_penalty,
    effective_ranks,
    least_squares_risk,
    ridge_risk,
    ridge_risk_given_design,
    weak_features_risk,
)
from deepfact.theory.risk import FlowRisk, flow_risk, proximal_map
from deepfact.theory.selection import selection_criterion
from deepfact.theory.tickets import (
    independent_scores_success,
    matched_filter_success,
    random_mask_hits,
    random_mask_loss,
    subset_sum_error,
)
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
    "AnchorCone",
    "Asymptote",
    "EffectiveRanks",
    "FlowRisk",
    "RidgeRisk",
    "anchor_cone",
    "balanced_limit",
    "condition_with_depth",
    "descent_damping",
    "effective_penalty",
    "effective_ranks",
    "end_to_end_curl",
    "end_to_end_dual",
    "end_to_end_velocity",
    "escape_time",
    "first_order_correction",
    "flow_risk",
    "guaranteed_gap",
    "guaranteed_rate",
    "imbalance_factors",
    "imbalances",
    "independent_scores_success",
    "init_scale_bound",
    "kaczmarz_errors",
    "kaczmarz_floor",
    "kernel_distance",
    "kernel_distance_bound",
    "kernel_residuals",
    "l1_error_exponent",
    "l1_gap_bound",
    "l1_gap_bound_sharp",
    "layer_balance_gain",
    "lazy_distance",
    "lazy_distance_correction",
    "least_squares_risk",
    "log_escape_time",
    "log_init_scale_bound",
    "log_l1_gap_bound",
    "log_l1_gap_bound_sharp",
    "matched_filter_success",
    "phase_max_ratio",
    "phase_max_success",
    "plateau_exponents",
    "proximal_map",
    "random_mask_hits",
    "random_mask_loss",
    "recovery_threshold",
    "recovery_window",
    "relu_kernel",
    "ridge_risk",
    "ridge_risk_given_design",
    "selection_criterion",
    "sign_change_time",
    "sign_counterexample",
    "single_product_weights",
    "spanning_probability",
    "stability_limit",
    "subset_sum_error",
    "weak_features_risk",
    "weighted_l1_gap_bound",
    "worst_case_constant",
    "worst_case_gap",
    "worst_case_problem",
    "worst_case_supremum",
]
