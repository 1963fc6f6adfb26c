"""The Bregman divergence of a mirror map, the quantity that the proof follows."""

from __future__ import annotations

import numpy as np

from deepfact.arguments import as_real_array
from deepfact.mirror_map import MirrorMap


def bregman_divergence(model: MirrorMap, z: np.ndarray, x: np.ndarray) -> float:
    """Compute D_F(z, x) = F(z) - F(x) - <grad F(x), z - x> for the potential F of a model.

    Parameters
    ----------
    model : MirrorMap
        The parametrisation, for instance a `DeepFactorization`.
    z, x : array_like of shape (N,)
        The two points; nonnegative in the positive model, where D_F(z, 0) is infinite for z > 0.

    Returns
    -------
    float
        D_F(z, x) >= 0; for a `DeepFactorization` without the cancellation of the definition.

    Raises
    ------
    TypeError, ValueError
        If z or x is not a finite real vector, their lengths differ, alpha's length is another,
        one is negative in the positive model, or outside the domain of another map's potential.

    Notes
    -----
    Along the flow d/dt D_F(z, x(t)) = -||A x(t) - y||^2 for every z with A z = y: statement S1
    of ``docs/statements.md``.
    """
    z = as_real_array("z", z, ndim=1)
    x = as_real_array("x", x, ndim=1)
    if len(z) != len(x):
        raise ValueError(f"z and x must have one length, got {len(z)} and {len(x)}")
    model.check_length(len(x))
    if model.positive:
        for name, value in (("z", z), ("x", x)):
            if value.min() < 0:
                raise ValueError(f"{name} must be nonnegative in the positive model")
    with np.errstate(invalid="ignore"):
        total = float(np.sum(model.divergence(z, x)))
    if np.isnan(total):
        raise ValueError(f"z and x must be in the domain of the potential of {model}")
    return total
