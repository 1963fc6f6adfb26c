"""What depth does to the condition number near a minimiser, and to the rate of descent there."""

from __future__ import annotations

import numpy as np

from deepfact.dynamics.factor_flow import leave_one_out_products
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.tables import from_rows
from deepfact.theory import condition_with_depth

__all__ = ["measure_conditions", "measure_rates"]


def measure_conditions(
    d: int, condition: float, depths: list[int], instances: int, seed: int
) -> dict[str, np.ndarray]:
    """Compute the condition number with depth, for random minimisers and for the extreme ones.

    Hessians have random eigenvectors and the eigenvalues 1, then log-spaced ones from the largest
    depth (at most the condition number) up to the condition number.

    Parameters
    ----------
    d : int
        Unknowns, at least 2.
    condition : float
        Condition number kappa of the Hessians, at least the largest depth.
    depths : list of int
        Numbers K of layers, at least 2.
    instances : int
        Draws.
    seed : int
        Seed.

    Returns
    -------
    dict of str to ndarray
        A row for each draw, depth and place of the minimiser: ``place`` ("random", "lowest" or
        "highest" eigenvector of the Hessian), ``kappa``, ``with_depth``, which is kappa', and
        ``share``, the squared cosine of the minimiser and the lowest eigenvector.
    """
    rows = []
    values = np.append(1.0, np.geomspace(max(depths), condition, d - 1))
    for draw, stream in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        rng = np.random.default_rng(stream)
        basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
        hessian = (basis * values) @ basis.T
        hessian = 0.5 * (hessian + hessian.T)
        places = {
            "random": rng.standard_normal(d),
            "lowest": basis[:, 0],
            "highest": basis[:, -1],
        }
        for K in depths:
            for place, w in places.items():
                share = (basis[:, 0] @ w) ** 2 / (w @ w)
                rows.append(
                    {
                        "draw": draw,
                        "depth": K,
                        "place": place,
                        "kappa": condition,
                        "with_depth": condition_with_depth(hessian, w, K),
                        "share": share,
                    }
                )
    return from_rows(rows)


def measure_rates(
    samples: int,
    d: int,
    depths: list[int],
    instances: int,
    seed: int,
    decades: float = 18.0,
    offset: float = 1e-5,
) -> dict[str, np.ndarray]:
    """Run gradient descent on the factors near a minimiser, and fit its rate.

    The loss is 1/2 |A w - y|^2 with samples > d Gaussian rows, and the step the best constant one
    for its Hessian in the factors. Nets have one hidden unit: balanced layers stay of rank one.

    Parameters
    ----------
    samples, d : int
        Shape of A.
    depths : list of int
        Numbers of factors.
    instances : int
        Draws.
    seed : int
        Seed.
    decades : float, optional
        Powers of ten by which the loss is to fall by the prediction (default: 18); their second
        half is fitted.
    offset : float, optional
        Relative size of the disturbance of the factors at the start (default: 1e-5).

    Returns
    -------
    dict of str to ndarray
        A row for each draw, kind of net and depth: ``diagonal``; ``kappa`` and ``with_depth``;
        ``rate``, the fitted decrease of log(loss) per step, and ``predicted``,
        2 log((kappa' + 1)/(kappa' - 1)); ``plain``, the same with kappa.
    """
    rows = []
    for draw, stream in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        rng = np.random.default_rng(stream)
        A = rng.standard_normal((samples, d)) / np.sqrt(samples)
        hessian = A.T @ A
        values = np.linalg.eigvalsh(hessian)
        kappa = values[-1] / values[0]
        x = rng.choice([-1.0, 1.0], d) * rng.uniform(0.5, 2.0, d)
        for diagonal in (False, True):
            for K in depths:
                inner = condition_with_depth(hessian, x, K, diagonal)
                predicted = 2 * np.log((inner + 1) / (inner - 1))
                steps = int(np.ceil(decades * np.log(10) / predicted))
                run = _diagonal_run if diagonal else _net_run
                losses = run(A, x, K, steps, offset, rng)
                half = np.arange(steps // 2, steps)
                rows.append(
                    {
                        "draw": draw,
                        "diagonal": diagonal,
                        "depth": K,
                        "kappa": kappa,
                        "with_depth": inner,
                        "rate": -fitted_slope(half, np.log(losses[half]))[0],
                        "predicted": predicted,
                        "plain": 2 * np.log((kappa + 1) / (kappa - 1)),
                    }
                )
    return from_rows(rows)


def _best_step(hessian, root):
    """Return 2/(largest + smallest eigenvalue) of R H R, R the root of the preconditioner."""
    values = np.linalg.eigvalsh(root @ hessian @ root)
    return 2 / (values[0] + values[-1])


def _net_run(A, w, depth, steps, offset, rng):
    """Descend with w = a_2 ... a_K v."""
    d, size = len(w), np.linalg.norm(w)
    along = w / size
    root = np.eye(d) + (np.sqrt(depth) - 1) * np.outer(along, along)
    step = _best_step(A.T @ A, root) / size ** (2 - 2 / depth)
    v, a = size ** (1 / depth) * along, np.full(depth - 1, size ** (1 / depth))
    v = v * (1 + offset * rng.standard_normal(d))
    a = a * (1 + offset * rng.standard_normal(depth - 1))
    losses, y = np.empty(steps), A @ w
    for k in range(steps):
        whole = np.prod(a)
        residual = A @ (whole * v) - y
        losses[k] = 0.5 * residual @ residual
        g = residual @ A
        others = leave_one_out_products(a[None, :, None])[0, :, 0]
        v, a = v - step * whole * g, a - step * others * (v @ g)
    return losses


def _diagonal_run(A, x, depth, steps, offset, rng):
    """Descend with x = u_1 ... u_L, entrywise."""
    size = np.abs(x) ** (1 / depth)
    step = _best_step(A.T @ A, np.diag(size ** (depth - 1))) / depth
    u = np.tile(size, (depth, 1))
    u[0] *= np.sign(x)
    u = u * (1 + offset * rng.standard_normal(u.shape))
    losses, y = np.empty(steps), A @ x
    for k in range(steps):
        residual = A @ np.prod(u, axis=0) - y
        losses[k] = 0.5 * residual @ residual
        u = u - step * (residual @ A) * leave_one_out_products(u[None])[0]
    return losses
