"""deepfact: sparse recovery by overparameterised gradient flow, made checkable."""

from deepfact import lifting, rates, theory
from deepfact.checks import Check, Claim, Record, read_checks, save_checks
from deepfact.deep_factorization import DeepFactorization
from deepfact.divergence import bregman_divergence
from deepfact.dynamics.averaged_flow import AveragedFlow, averaged_flow
from deepfact.dynamics.factor_flow import FactorFlowResult, factor_flow, initial_factors
from deepfact.dynamics.gradient_descent import DescentResult, gradient_descent
from deepfact.dynamics.gradient_flow import FlowResult, gradient_flow
from deepfact.dynamics.saddle_path import SaddlePath, saddle_path
from deepfact.figures import OKABE_ITO, figure_style, save_figure
from deepfact.l1_minimisation import BasisPursuitResult, basis_pursuit, bpdn
from deepfact.lasso import LassoPath, lasso_gap, lasso_path
from deepfact.limit import LimitResult, flow_limit, limit_path
from deepfact.mirror_map import MirrorMap
from deepfact.problem import Problem, dct_problem, gaussian_problem, rademacher_problem
from deepfact.recovery import PhaseTransition, phase_transition

__all__ = [
    "OKABE_ITO",
    "AveragedFlow",
    "BasisPursuitResult",
    "Check",
    "Claim",
    "DeepFactorization",
    "DescentResult",
    "FactorFlowResult",
    "FlowResult",
    "LassoPath",
    "LimitResult",
    "MirrorMap",
    "PhaseTransition",
    "Problem",
    "Record",
    "SaddlePath",
    "averaged_flow",
    "basis_pursuit",
    "bpdn",
    "bregman_divergence",
    "dct_problem",
    "factor_flow",
    "figure_style",
    "flow_limit",
    "gaussian_problem",
    "gradient_descent",
    "gradient_flow",
    "initial_factors",
    "lasso_gap",
    "lasso_path",
    "lifting",
    "limit_path",
    "phase_transition",
    "rademacher_problem",
    "rates",
    "read_checks",
    "saddle_path",
    "save_checks",
    "save_figure",
    "theory",
]
