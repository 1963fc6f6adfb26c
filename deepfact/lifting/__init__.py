"""Nonconvex problems that are convex ones in disguise, with certificates of their minima.

Factors and prices, factored least squares, products of matrices, PhaseMax, two-layer nets:
statement T1 of ``docs/overparameterization.md``.
"""

from deepfact.lifting.factored_lasso import (
    FactoredLasso,
    balanced_factors,
    escape_eigenvalue,
    stationary_point,
)
from deepfact.lifting.lasso import lasso_bounds, lasso_minimiser
from deepfact.lifting.matrix_factors import (
    fit_matrix_factors,
    nuclear_norm_bounds,
    shrunk_singular_value,
    soft_threshold_singular_values,
)
from deepfact.lifting.phase_max import (
    anchor_distance,
    maximise_phase,
    phase_max_problem,
    signal_from_dual,
)
from deepfact.lifting.prices import basic_solutions, factor_price, searched_price
from deepfact.lifting.relu_net import (
    NetOptimum,
    convex_net,
    gated_value,
    largest_activation,
    net_value,
    planar_patterns,
    train_nets,
)

__all__ = [
    "FactoredLasso",
    "NetOptimum",
    "anchor_distance",
    "balanced_factors",
    "basic_solutions",
    "convex_net",
    "escape_eigenvalue",
    "factor_price",
    "fit_matrix_factors",
    "gated_value",
    "largest_activation",
    "lasso_bounds",
    "lasso_minimiser",
    "maximise_phase",
    "net_value",
    "nuclear_norm_bounds",
    "phase_max_problem",
    "planar_patterns",
    "searched_price",
    "shrunk_singular_value",
    "signal_from_dual",
    "soft_threshold_singular_values",
    "stationary_point",
    "train_nets",
]
