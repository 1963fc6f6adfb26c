"""deepfact: sparse recovery by overparameterised gradient flow, made checkable."""

from deepfact import rates, theory
from deepfact.basis_pursuit import BasisPursuitResult, basis_pursuit, bpdn
from deepfact.bregman import bregman_divergence
from deepfact.descent import DescentResult, gradient_descent
from deepfact.figures import OKABE_ITO, figure_style, save_figure
from deepfact.flow import (
    FactorFlowResult,
    FlowResult,
    factor_flow,
    gradient_flow,
    initial_factors,
)
from deepfact.limit import LimitResult, flow_limit, limit_path
from deepfact.model import DeepFactorization, MirrorMap
from deepfact.phase_transition import PhaseTransition, phase_transition
from deepfact.problem import Problem, dct_problem, gaussian_problem, rademacher_problem
from deepfact.statements import Check, read_checks, save_checks

__all__ = [
    "OKABE_ITO",
    "BasisPursuitResult",
    "Check",
    "DeepFactorization",
    "DescentResult",
    "FactorFlowResult",
    "FlowResult",
    "LimitResult",
    "MirrorMap",
    "PhaseTransition",
    "Problem",
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
    "limit_path",
    "phase_transition",
    "rademacher_problem",
    "rates",
    "read_checks",
    "save_checks",
    "save_figure",
    "theory",
]
