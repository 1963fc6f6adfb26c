"""The older name of the part of `deepfact.theory` that is about rates and time scales."""

from deepfact.theory import (
    Asymptote,
    descent_damping,
    escape_time,
    first_order_correction,
    l1_error_exponent,
    log_escape_time,
    plateau_exponents,
    selection_criterion,
    sign_change_time,
    single_product_weights,
    stability_limit,
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
    "l1_error_exponent",
    "log_escape_time",
    "plateau_exponents",
    "selection_criterion",
    "sign_change_time",
    "single_product_weights",
    "stability_limit",
    "worst_case_constant",
    "worst_case_gap",
    "worst_case_problem",
    "worst_case_supremum",
]
