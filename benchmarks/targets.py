"""The table of targets: what was aimed at, what was measured, from the tables of the benchmarks."""

import argparse
from pathlib import Path
from statistics import median

import numpy as np
from scipy import stats

from benchmarks.measure import read, write


def row(what, case, peer, measured, relation="", target=None, note=""):
    """Return a row of the table; ``measured`` is None where nothing was, ``target`` without aim."""
    known = measured is not None and bool(np.isfinite(measured))
    met = ""
    if target is not None:
        met = "not measured"
        if known:
            met = (
                "yes" if (measured <= target if relation == "<=" else measured >= target) else "no"
            )
    return {
        "what": what,
        "case": case,
        "peer": peer,
        "measured": float(measured) if known else "",
        "relation": relation,
        "target": "" if target is None else float(target),
        "met": met,
        "note": note,
    }


def groups(rows, *keys):
    """Return the rows by the values of some columns, in order."""
    found = {}
    for one in rows:
        found.setdefault(tuple(one[key] for key in keys), []).append(one)
    return found


def slope(x, y):
    """Return the slope of log y against log x and half the width of its 95% interval."""
    x, y = np.log(np.asarray(x)), np.log(np.asarray(y))
    if len(np.unique(x)) < 3:
        return None, None
    fit = stats.linregress(x, y)
    return float(fit.slope), float(fit.stderr * stats.t.ppf(0.975, len(x) - 2))


def gram_units(limits):
    """Compare every limit with 20 Gram units."""
    for (N, L, alpha), found in groups(limits, "N", "depth", "alpha").items():
        if N not in (1000, 4000):
            continue
        done = [one for one in found if one["status"] == "converged"]
        worst = max((one["residual"] for one in done), default=np.nan)
        yield row(
            "limit, dense: time in units of A D A^T and its Cholesky factor",
            f"N = {N:g}, L = {L:g}, alpha = {alpha:g}",
            "Gram unit",
            median(one["gram_units"] for one in done) if len(done) == len(found) else None,
            "<=",
            20,
            f"residual {worst:.1e} (aim 1e-10)",
        )


def times_of(found):
    """Return median error and the median time, by the solver's own account where it has one."""
    seconds = [
        own if np.isfinite(own := one["solver_seconds"]) else one["seconds"] for one in found
    ]
    return median(one["error"] for one in found), median(seconds)


def basis_pursuit(solvers):
    """Compare flow_limit at alpha = 1e-16 with every solver at an error as small, or below 1e-10.

    The peers' times are what they report themselves, where they do: without what cvxpy adds.
    """
    for (N,), found in groups(solvers, "N").items():
        by = groups(found, "solver", "setting")
        case = f"N = {N:g}, L = 2, alpha = 1e-16"
        own_error, own_seconds = times_of(by["flow_limit", "alpha=1e-16"])
        done = {}
        for (solver, setting), ones in by.items():
            if all(one["status"] == "done" for one in ones) and solver != "flow_limit":
                done.setdefault(solver, []).append((setting, *times_of(ones)))
        best = {}
        for solver, settings in done.items():
            # The fastest setting with an error as small; without one, of those about as accurate
            # as the solver gets.
            least = min(error for _, error, _ in settings)
            enough = max(own_error, 1e-10)
            enough = enough if least <= enough else 10 * least
            best[solver] = min(
                (one for one in settings if one[1] <= enough), key=lambda one: one[2]
            )
        for solver in dict.fromkeys(one["solver"] for one in found):
            if not solver.startswith(("cvxpy", "scipy")):
                continue
            what = f"basis pursuit, N = {N:g}: times faster than linear and cone programs"
            if solver not in best:
                yield row(what, case, solver, None, ">=", 10, "every setting over the time limit")
                continue
            setting, error, seconds = best[solver]
            note = f"setting {setting}: error {error:.1e}, flow_limit {own_error:.1e}"
            yield row(what, case, solver, seconds / own_seconds, ">=", 10, note)
        spgl1 = by.get(("SPGL1", "1e-9"), [])
        if spgl1 and all(one["status"] == "done" for one in spgl1):
            error, seconds = times_of(spgl1)
            note = f"errors {error:.1e} and {own_error:.1e}"
            what = "basis pursuit: times faster than SPGL1 at tolerance 1e-9"
            yield row(what, case, "SPGL1 1e-9", seconds / own_seconds, ">=", 1, note)
            what = "basis pursuit: times more accurate than SPGL1 at tolerance 1e-9"
            yield row(what, case, "SPGL1 1e-9", error / own_error, ">=", 100, note)
        celer = best.get("celer Lasso")
        if celer:
            setting, error, seconds = celer
            note = f"another problem, the Lasso at {setting} of its largest parameter: error "
            note += f"{error:.1e}, flow_limit {own_error:.1e}"
            what = "basis pursuit: times faster than the Lasso"
            yield row(what, case, "celer Lasso", seconds / own_seconds, note=note)


def descent(rows):
    """Compare with gradient descent at its best step."""
    for (N, L, alpha), found in groups(rows, "N", "depth", "alpha").items():
        ratios, over = [], False
        for ones in groups(found, "instance").values():
            done = [one for one in ones if one["status"] == "done"]
            over = over or not done
            least = [one["descent_seconds"] for one in done or ones if one["status"] != "diverged"]
            if least:
                ratios.append(min(least) / median(one["seconds"] for one in ones))
        note = "descent ended by the time limit before that: at least this ratio" if over else ""
        yield row(
            "limit: times faster than gradient descent",
            f"N = {N:g}, L = {L:g}, alpha = {alpha:g}",
            f"gradient descent to residual {found[0]['goal']:g}",
            median(ratios) if ratios else None,
            ">=",
            1000,
            note,
        )


def flows(rows):
    """Compare gradient_flow at its default tolerance with the fastest peer as accurate."""
    for (N, L, alpha), found in groups(rows, "N", "depth", "alpha").items():
        done = [one for one in found if one["status"] == "done" and np.isfinite(one["error"])]
        own = [one for one in done if one["solver"] == "gradient_flow"]
        peers = [one for one in done if one["solver"] != "gradient_flow"]
        what = "trajectory to t = 1e6: times faster than solve_ivp on the factors"
        case = f"N = {N:g}, L = {L:g}, alpha = {alpha:g}"
        # At every tolerance of the flow; the most favourable to the peers counts.
        pairs = []
        for one in own:
            equal = [peer for peer in peers if peer["error"] <= one["error"]]
            if equal:
                best = min(equal, key=lambda peer: peer["seconds"])
                pairs.append((best["seconds"] / one["seconds"], best, one))
        if not pairs:
            yield row(what, case, "solve_ivp", None, ">=", 20, "no peer as accurate")
            continue
        ratio, best, one = min(pairs, key=lambda pair: pair[0])
        note = f"errors {best['error']:.1e} and {one['error']:.1e}"
        yield row(what, case, f"solve_ivp {best['solver']}", ratio, ">=", 20, note)


def paths(rows):
    """Compare one call for twenty values of alpha with a single limit."""
    for (N, L), found in groups(rows, "N", "depth").items():
        ratios = [one["seconds"] / one["single_seconds"] for one in found]
        done = all(one["status"] == "done" for one in found)
        what = f"{found[0]['values']:g} values of alpha in one call: time in single limits"
        measured = median(ratios) if done else None
        yield row(what, f"N = {N:g}, L = {L:g}", "flow_limit", measured, "<=", 3)


def recovery(rows):
    """Compare the phase transition with three minutes."""
    for one in rows:
        note = f"measured with {one['trials']:g} of 50 trials a cell" if one["trials"] < 50 else ""
        cells = f"{one['side']:g} x {one['side']:g} cells (run: those with s < M) x 50 trials"
        what = f"phase transition, {cells}, {one['processes']:g} processes: minutes"
        case = f"N = {one['N']:g}, L = {one['depth']:g}"
        yield row(what, case, "", one["seconds_for_50_trials"] / 60, "<=", 3, note)


def operators(rows):
    """Compare the largest matrix-free problem with SPGL1 and with 4 GiB."""
    size = max(one["log2_N"] for one in rows)
    last = [one for one in rows if one["log2_N"] == size]
    peers = [one for one in last if one["solver"] == "SPGL1" and one["error"] <= 1e-6]
    products = min((one["products"] for one in peers), default=np.nan)
    for one in last:
        if one["solver"] != "flow_limit":
            continue
        good = one["status"] == "done" and one["error"] <= 1e-6
        state = f"error {one['error']:.1e}" if one["status"] == "done" else one["status"]
        what, case = "limit, partial DCT", f"N = 2^{size:g}, {one['setting']}"
        note = f"{state}; error aimed at 1e-6"
        ratio = one["products"] / products if good else None
        yield row(f"{what}: operator products", case, "SPGL1 at error 1e-6", ratio, "<=", 1, note)
        peak = one["peak_MiB"] / 1024 if good else None
        yield row(f"{what}: peak memory in GiB", case, "", peak, "<=", 4, note)


def saddles(rows):
    """Compare the path of saddles with scikit-learn's path of the lasso."""
    for (N, s), found in groups(rows, "N", "s").items():
        times = {
            solver: sum(one["seconds_min"] for one in ones)
            for (solver,), ones in groups(found, "solver").items()
        }
        measured = times["saddle_path"] / times["lars_path"] if "lars_path" in times else None
        worst = max(one["error"] for one in found if one["solver"] == "saddle_path")
        what = "path of saddles: time in units of the lasso's path"
        note = f"error {worst:.1e}" + ("" if measured else "; scikit-learn is not installed")
        yield row(what, f"N = {N:g}, s = {s:g}", "lars_path", measured, "<=", 1, note)


def growth(limits, matrix_free):
    """Compare fitted exponents of time against N with 3 and 1.15."""
    for (L, alpha), found in groups(limits, "depth", "alpha").items():
        done = [one for one in found if one["status"] == "converged"]
        value, half = slope([one["N"] for one in done], [one["seconds"] for one in done])
        note = "" if half is None else f"95% interval +-{half:.2f}"
        what = "limit, dense: exponent of time in N"
        yield row(what, f"L = {L:g}, alpha = {alpha:g}", "", value, "<=", 3, note)
    for (setting,), found in groups(matrix_free, "setting").items():
        done = [one for one in found if one["status"] == "done"]
        if found[0]["solver"] == "flow_limit":
            value, half = slope([one["N"] for one in done], [one["seconds"] for one in done])
            note = "" if half is None else f"95% interval +-{half:.2f}"
            what = "limit, partial DCT: exponent of time in N"
            yield row(what, setting, "", value, "<=", 1.15, note)


def read_all(folder):
    """Return the tables in a folder by name."""
    names = ("limits", "solvers", "descent", "flows", "paths", "recovery", "operators", "saddles")
    return {name: read(Path(folder) / f"{name}.csv") for name in names}


def table(tables):
    """Return all rows."""
    return [
        *gram_units(tables["limits"]),
        *basis_pursuit(tables["solvers"]),
        *descent(tables["descent"]),
        *flows(tables["flows"]),
        *paths(tables["paths"]),
        *recovery(tables["recovery"]),
        *operators(tables["operators"]),
        *saddles(tables["saddles"]),
        *growth(tables["limits"], tables["operators"]),
    ]


def main():
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    tables = read_all(arguments.results)
    around = {key: tables["limits"][0][key] for key in ("machine", "versions")}
    write(table(tables), arguments.output, around)


if __name__ == "__main__":
    main()
