"""deepfact: sparse recovery by overparameterised gradient flow, made checkable."""

from deepfact import theory
from deepfact.basis_pursuit import BasisPursuitResult, basis_pursuit
from deepfact.bregman import bregman_divergence
from deepfact.descent import DescentResult, gradient_descent
from deepfact.figures import figure_style, save_figure
from deepfact.flow import FlowResult, factor_flow, gradient_flow
from deepfact.limit import LimitResult, flow_limit
from deepfact.model import DeepFactorization, MirrorMap
from deepfact.problem import Problem, dct_problem, gaussian_problem, rademacher_problem
from deepfact.statements import Check, save_checks

__all__ = [
    "BasisPursuitResult",
    "Check",
    "DeepFactorization",
    "DescentResult",
    "FlowResult",
    "LimitResult",
    "MirrorMap",
    "Problem",
    "basis_pursuit",
    "bregman_divergence",
    "dct_problem",
    "factor_flow",
    "figure_style",
    "flow_limit",
    "gaussian_problem",
    "gradient_descent",
    "gradient_flow",
    "rademacher_problem",
    "save_checks",
    "save_figure",
    "theory",
]
