"""Loop integrals of the end-to-end field of deep linear nets, and area integrals of its curl."""

from __future__ import annotations

import numpy as np

from deepfact.experiments.tables import from_rows
from deepfact.theory import end_to_end_curl, end_to_end_velocity

__all__ = ["measure_loops"]

# Nodes of the circle's rule and of the radius: both converge exponentially, as the field is
# analytic away from w = 0, where no disc reaches.
ANGLES, RADII = 128, 40


def measure_loops(
    d: int,
    samples: int,
    depths: list[int],
    radii: list[float],
    powers: list[float],
    instances: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Integrate the field along circles, and its curl over the discs.

    The loss is (1/p) sum |x_i . w - y_i|^p with Gaussian data; circles lie in random planes, around
    random centres of norm 1.

    Parameters
    ----------
    d, samples : int
        Length of w and number of data.
    depths : list of int
        Numbers K of layers.
    radii : list of float
        Radii of the circles, below 1.
    powers : list of float
        Powers p >= 2 of the loss.
    instances : int
        Draws of data and circle for each power.
    seed : int
        Seed.

    Returns
    -------
    dict of str to ndarray
        A row for each power, draw, depth and radius: ``loop``, the integral along the circle;
        ``area``, that of the curl over the disc; ``in_metric``, the loop integral of the field
        weighted with the Hessian of the mirror potential; ``size``, the integral of the field's
        norm along the circle, and ``metric_size``, that of the weighted field's.
    """
    rows = []
    for p in powers:
        for draw, stream in enumerate(np.random.SeedSequence([seed, int(p)]).spawn(instances)):
            rng = np.random.default_rng(stream)
            X, y = rng.standard_normal((samples, d)), rng.standard_normal(samples)
            centre = rng.standard_normal(d)
            centre /= np.linalg.norm(centre)
            plane = np.linalg.qr(rng.standard_normal((d, 2)))[0]
            for K in depths:
                for radius in radii:
                    values = _integrals(X, y, p, centre, plane, int(K), radius)
                    rows.append({"power": p, "draw": draw, "depth": K, "radius": radius, **values})
    return from_rows(rows)


def _integrals(X, y, p, centre, plane, depth, radius):
    arc = 2 * np.pi / ANGLES
    angles = arc * np.arange(ANGLES)
    circle = np.column_stack([np.cos(angles), np.sin(angles)]) @ plane.T
    tangent = np.column_stack([-np.sin(angles), np.cos(angles)]) @ plane.T * radius
    w = centre + radius * circle
    field = end_to_end_velocity(w, _derivatives(X, y, p, w)[0], depth)
    size = np.linalg.norm(w, axis=1, keepdims=True)
    along = (1 - 1 / depth) * np.sum(w * field, axis=1, keepdims=True) / size**2
    weighted = size ** (2 / depth - 2) * (field - along * w)
    nodes, weights = np.polynomial.legendre.leggauss(RADII)
    r = 0.5 * radius * (nodes + 1)
    inside = (centre + r[:, None, None] * circle).reshape(-1, len(centre))
    gradient, hessian = _derivatives(X, y, p, inside)
    curl = end_to_end_curl(inside, gradient, hessian, depth)
    turning = np.sum((plane[:, 0] @ curl @ plane[:, 1]).reshape(RADII, ANGLES), axis=1)
    return {
        "loop": arc * np.sum(field * tangent),
        "area": arc * np.sum(0.5 * radius * weights * r * turning),
        "in_metric": arc * np.sum(weighted * tangent),
        "size": arc * radius * np.linalg.norm(field, axis=1).sum(),
        "metric_size": arc * radius * np.linalg.norm(weighted, axis=1).sum(),
    }


def _derivatives(X, y, p, w):
    """Return gradients and Hessians of the loss at the rows of w."""
    residual = w @ X.T - y
    size = np.abs(residual)
    hessian = np.einsum("ki,nk,kj->nij", X, (p - 1) * size ** (p - 2), X, optimize=True)
    return (np.sign(residual) * size ** (p - 1)) @ X, hessian
