"""The flow's limit in many digits: plain damped Newton on the dual, in mpmath arithmetic.

Written without regard to the package's solver: one scalar map, continuation in log alpha, and
enough digits that slacks of size alpha^(L-2) next to 1 are resolved.
"""

import mpmath as mp
import numpy as np


def reference_limit(A, y, depth, log_alpha, signed=True, digits=60):
    """Return (x, nu) as lists of mpf for x = X(A^T nu), A x = y; A of full row rank."""
    depth_inf = np.isinf(depth)
    theta = mp.mpf(1) if depth_inf else 1 - mp.mpf(2) / mp.mpf(depth)
    product = (lambda la: la) if depth_inf else (lambda la: mp.mpf(depth) * la)
    target = product(mp.mpf(log_alpha))
    with mp.workdps(int(digits + 20 + 1.1 * abs(float((1 + theta) * target)) / 2.3)):
        A = mp.matrix(np.asarray(A).tolist())
        y = mp.matrix(np.asarray(y).tolist())
        M, N = A.rows, A.cols

        def e(v):  # deformed exponential and its derivative
            if theta == 0:
                value = mp.e**v
                return value, value
            slack = 1 - theta * v
            if slack <= 0:
                return None
            value = slack ** (-1 / theta)
            return value, value / slack

        def evaluate(eta, log_a):
            v = A.T * eta
            a = mp.e**log_a
            x, slope = mp.matrix(N, 1), []
            for j in range(N):
                up = e(v[j])
                down = e(-v[j]) if signed else (mp.mpf(0), mp.mpf(0))
                if up is None or down is None:
                    return None
                x[j] = a * (up[0] - down[0])
                slope.append(a * (up[1] + down[1]))
            return x, slope

        def potential_decrease(eta, step, d, log_a):
            """Return the dual objective's derivative along d at eta + step d (None outside)."""
            state = evaluate(eta + step * d, log_a)
            if state is None:
                return None
            residual = A * state[0] - y
            return sum(residual[i] * d[i] for i in range(M))

        eta = mp.matrix(M, 1)
        log_a = max(mp.mpf(0), target)
        while True:  # continuation in log a
            goal = mp.mpf(10) ** (-digits) if log_a == target else mp.mpf("1e-3")
            for _ in range(400):
                x, slope = evaluate(eta, log_a)
                residual = y - A * x
                if mp.norm(residual) <= goal * mp.norm(y):
                    break
                gram = mp.matrix(M, M)
                for i in range(M):
                    for k in range(i + 1):
                        gram[i, k] = gram[k, i] = mp.fsum(
                            A[i, j] * slope[j] * A[k, j] for j in range(N)
                        )
                d = mp.lu_solve(gram, residual)
                step = mp.mpf(1)
                # A convex line: the full step is good where its end still descends or is near flat.
                while True:
                    end = potential_decrease(eta, step, d, log_a)
                    start = -sum(residual[i] * d[i] for i in range(M))
                    if end is not None and abs(end) <= abs(start) * (1 - step / 8):
                        break
                    step /= 2
                    if step < mp.mpf("1e-40"):
                        raise ArithmeticError("the reference's line search failed")
                eta = eta + step * d
            else:
                raise ArithmeticError("the reference did not converge")
            if log_a == target:
                break
            following = max(
                target, log_a - max(1, abs(log_a) / 4) if theta == 0 else log_a - 3 / theta
            )
            if theta == 0 and log_a < -1:
                eta = eta * (following / log_a)
            log_a = following
        k = mp.e**target if depth_inf else mp.mpf(depth) * mp.e ** (theta * target)
        return [+x[j] for j in range(N)], [eta[i] / k for i in range(M)]
