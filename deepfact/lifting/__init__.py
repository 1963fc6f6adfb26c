"""Nonconvex problems that are convex ones in disguise, with certificates of their minima.

Factors and prices, factored least squares, products of matrices: statement T1 of
``docs/overparameterization.md``.
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
from deepfact.lifting.prices import basic_solutions, factor_price, searched_price

__all__ = [
    "FactoredLasso",
    "balanced_factors",
    "basic_solutions",
    "escape_eigenvalue",
    "factor_price",
    "fit_matrix_factors",
    "lasso_bounds",
    "lasso_minimiser",
    "nuclear_norm_bounds",
    "searched_price",
    "shrunk_singular_value",
    "soft_threshold_singular_values",
    "stationary_point",
]
