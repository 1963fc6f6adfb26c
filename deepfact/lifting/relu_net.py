"""Two-layer ReLU nets with two inputs (a number and a bias) as one convex program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepfact.arguments import as_real_array, as_real_number


@dataclass(frozen=True, eq=False)
class NetOptimum:
    """A net that is optimal among all widths, with its certificate.

    Parameters
    ----------
    hidden : ndarray of shape (K, 2)
        Input weights u_k of its neurons.
    output : ndarray of shape (K,)
        Output weights a_k.
    value : float
        The objective at this net.
    lower_bound : float
        The dual objective at a feasible point: no net of any width has a smaller value.
    """

    hidden: np.ndarray
    output: np.ndarray
    value: float
    lower_bound: float

    @property
    def width(self) -> int:
        """Number of neurons."""
        return len(self.output)


def net_value(
    X: np.ndarray, y: np.ndarray, penalty: float, hidden: np.ndarray, output: np.ndarray
) -> float:
    """Compute 1/2 |sum_k a_k (X u_k)_+ - y|^2 + (beta/2) sum_k (|u_k|^2 + a_k^2).

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs.
    y : array_like of shape (n,)
        Targets.
    penalty : float
        beta.
    hidden : array_like of shape (K, d)
        u_k.
    output : array_like of shape (K,)
        a_k.

    Returns
    -------
    float
        The objective.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    residual = np.maximum(X @ np.transpose(hidden), 0.0) @ output - y
    return float(residual @ residual + penalty * (np.sum(hidden**2) + np.sum(output**2))) / 2


def planar_patterns(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Enumerate the activation patterns 1[X u > 0] over all u in the plane.

    Parameters
    ----------
    X : array_like of shape (n, 2)
        Inputs, no two of them on one line through 0.

    Returns
    -------
    arcs : ndarray of shape (2 n, 2)
        First and last angle of each arc of directions u with one pattern.
    patterns : ndarray of shape (2 n, n)
        The patterns, 0 or 1.

    Raises
    ------
    TypeError, ValueError
        If ``X`` is of the wrong kind or shape, or two rows are parallel.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    X = as_real_array("X", X, ndim=2)
    if X.shape[1] != 2:
        raise ValueError(f"X must have 2 columns, got {X.shape[1]}")
    angles = np.arctan2(X[:, 1], X[:, 0])
    edges = np.mod(np.concatenate([angles + np.pi / 2, angles - np.pi / 2]), 2 * np.pi)
    edges = np.sort(edges)
    arcs = np.column_stack([edges, np.append(edges[1:], edges[0] + 2 * np.pi)])
    if np.min(arcs[:, 1] - arcs[:, 0]) <= 1e-12:
        raise ValueError("X must have no two parallel rows")
    middle = arcs.mean(axis=1)
    directions = np.column_stack([np.cos(middle), np.sin(middle)])
    return arcs, (directions @ X.T > 0).astype(float)


def largest_activation(X: np.ndarray, nu: np.ndarray) -> float:
    """Return max |<nu, (X u)_+>| over |u| <= 1, exactly.

    On an arc with pattern D it is the maximum of <X^T D nu, u>: at that vector's own direction
    where the arc contains it, else at an end.

    Parameters
    ----------
    X : array_like of shape (n, 2)
        Inputs, no two of them on one line through 0.
    nu : array_like of shape (n,)
        The vector.

    Returns
    -------
    float
        The maximum.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or shape.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    arcs, patterns = planar_patterns(X)
    slopes = (patterns * as_real_array("nu", nu, ndim=1)) @ X
    ends = np.stack([np.cos(arcs), np.sin(arcs)], axis=-1)
    best = np.max(np.abs(np.einsum("kd,ked->ke", slopes, ends)))
    for vectors in (slopes, -slopes):
        angles = np.arctan2(vectors[:, 1], vectors[:, 0])
        inside = np.mod(angles - arcs[:, 0], 2 * np.pi) <= arcs[:, 1] - arcs[:, 0]
        best = max(best, np.max(np.linalg.norm(vectors[inside], axis=1), initial=0.0))
    return float(best)


def convex_net(X: np.ndarray, y: np.ndarray, penalty: float) -> NetOptimum:
    """Find the best two-layer ReLU net with weight decay among all widths.

    min 1/2 |sum_i D_i X (v_i - w_i) - y|^2 + beta sum_i (|v_i| + |w_i|) over v_i, w_i with
    (2 D_i - I) X v_i >= 0, the same for w_i, over all patterns D_i; a neuron for each nonzero v_i
    or w_i. The residual r of the solution, scaled to nu = r min(1, beta/max |<r, (X u)_+>|), has
    the dual value <nu, y> - |nu|^2/2.

    Parameters
    ----------
    X : array_like of shape (n, 2)
        Inputs, no two of them on one line through 0.
    y : array_like of shape (n,)
        Targets.
    penalty : float
        beta > 0.

    Returns
    -------
    NetOptimum
        The net and its certificate.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or shape.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``; Pilanci and Ergen (arXiv:2002.10553).
    """
    X = as_real_array("X", X, ndim=2)
    y = as_real_array("y", y, ndim=1)
    penalty = as_real_number("penalty", penalty, above=0.0)
    fit, vectors = _solve(X, y, penalty, gated=False)[1:]
    signs = np.repeat([1.0, -1.0], len(vectors) // 2)
    size = np.linalg.norm(vectors, axis=1)
    kept = size > 1e-5 * max(size.max(), 1e-300)
    hidden = vectors[kept] / np.sqrt(size[kept])[:, None]
    output = signs[kept] * np.sqrt(size[kept])
    residual = y - fit
    largest = largest_activation(X, residual)
    nu = residual * min(1.0, penalty / largest) if largest > 0 else residual
    value = net_value(X, y, penalty, hidden, output)
    return NetOptimum(hidden, output, value, float(nu @ y - nu @ nu / 2))


def gated_value(X: np.ndarray, y: np.ndarray, penalty: float) -> float:
    """Solve the program of `convex_net` without its constraints: gates that are free of weights.

    Parameters
    ----------
    X : array_like of shape (n, 2)
        Inputs, no two of them on one line through 0.
    y : array_like of shape (n,)
        Targets.
    penalty : float
        beta > 0.

    Returns
    -------
    float
        The value, at most that of the best net.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or shape.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    X = as_real_array("X", X, ndim=2)
    y = as_real_array("y", y, ndim=1)
    return _solve(X, y, as_real_number("penalty", penalty, above=0.0), gated=True)[0]


def _solve(X, y, penalty, gated):
    """Return the value of the convex program, its fit, and its vectors v_i, then w_i."""
    import cvxpy as cp

    _, patterns = planar_patterns(X)
    pairs = [cp.Variable((len(patterns), X.shape[1])) for _ in range(2)]
    active = [cp.multiply(patterns, pair @ X.T) for pair in pairs]
    fit = cp.sum(active[0] - active[1], axis=0)
    length = sum(cp.sum(cp.norm(pair, axis=1)) for pair in pairs)
    sides = [cp.multiply(2 * patterns - 1, pair @ X.T) >= 0 for pair in pairs]
    objective = cp.sum_squares(fit - y) / 2 + penalty * length
    program = cp.Problem(cp.Minimize(objective), [] if gated else sides)
    program.solve(solver="CLARABEL")
    return float(program.value), fit.value, np.vstack([pair.value for pair in pairs])


def train_nets(
    X: np.ndarray,
    y: np.ndarray,
    penalty: float,
    hidden: np.ndarray,
    output: np.ndarray,
    steps: int,
    step: float,
    momentum: float = 0.9,
) -> tuple[np.ndarray, np.ndarray]:
    """Train many two-layer ReLU nets side by side by gradient descent with momentum.

    The step is a tenth of itself in the last half, and a hundredth in the last fifth, so that the
    kinks of the ReLU do not keep the nets from settling.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs.
    y : array_like of shape (n,)
        Targets.
    penalty : float
        beta.
    hidden : array_like of shape (R, K, d)
        Input weights of R nets at the start.
    output : array_like of shape (R, K)
        Output weights at the start.
    steps : int
        Number of steps.
    step : float
        Size of the first steps.
    momentum : float, optional
        Share of the last step that is repeated (default: 0.9).

    Returns
    -------
    hidden : ndarray of shape (R, K, d)
        Input weights at the end.
    output : ndarray of shape (R, K)
        Output weights at the end.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    U, a = np.array(hidden, dtype=float), np.array(output, dtype=float)
    moved_U, moved_a = np.zeros_like(U), np.zeros_like(a)
    for k in range(steps):
        size = step * (1.0 if k < steps / 2 else 0.1 if k < 0.8 * steps else 0.01)
        before = U @ X.T
        active = np.maximum(before, 0.0)
        residual = np.einsum("rk,rkn->rn", a, active) - y
        slope_a = (active @ residual[:, :, None])[:, :, 0] + penalty * a
        pull = np.where(before > 0, residual[:, None, :], 0.0)
        slope_U = a[:, :, None] * (pull @ X) + penalty * U
        moved_a = momentum * moved_a - size * slope_a
        moved_U = momentum * moved_U - size * slope_U
        a, U = a + moved_a, U + moved_U
    return U, a
