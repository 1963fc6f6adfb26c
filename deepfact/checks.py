"""The table of statements: one row for each numerical check, with its margin and its rival's."""

import csv
import dataclasses
import decimal
import numbers
import re
from pathlib import Path

import numpy as np

from deepfact.figures import save_figure
from deepfact.parameters import check_session

__all__ = [
    "Check",
    "Claim",
    "Record",
    "checks_to_markdown",
    "read_checks",
    "save_checks",
    "sort_checks",
    "write_checks",
]

COLUMNS = (
    "statement", "claim", "notebook", "instances", "worst_margin", "rival", "rival_margin", "holds",
)  # fmt: skip


def _line(value, name):
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {type(value).__name__}")
    if not value.strip() or value != value.strip() or len(value.splitlines()) != 1:
        raise ValueError(f"{name} must be one line of text without blanks around it, got {value!r}")


@dataclasses.dataclass(frozen=True)
class Check:
    """The outcome of one numerical check of one statement, over many instances.

    Parameters
    ----------
    statement : str
        Key of the statement: S1, S2, ...
    claim : str
        One line that says what was checked and what the margin measures.
    notebook : str
        Name of the notebook that checked it, without ending.
    instances : int
        Number of instances that were checked, at least 1.
    worst_margin : float
        Smallest signed distance to a violation among all instances: nonnegative if the claim holds
        on every one of them. NaN counts as a violation.
    rival : str, optional
        The nearest wrong statement that the same data refute, in one line (default: none).
    rival_margin : float, optional
        Smallest signed distance to a violation of the rival: negative if the data refute it. Given
        if and only if there is a rival.

    Raises
    ------
    TypeError
        If a text is not a string, `instances` not an integer or a margin not a real number.
    ValueError
        If `statement` is no key such as S2, T15 or D1, `claim` or ``rival`` is empty or longer than
        a line, `notebook` is no plain name, `instances` is not positive, or only one of ``rival``
        and ``rival_margin`` is given.

    Examples
    --------
    >>> Check("S1", "the divergence never increases", "02_bregman_identity", 20, 1e-3).holds
    True
    """

    statement: str
    claim: str
    notebook: str
    instances: int
    worst_margin: float
    rival: str | None = None
    rival_margin: float | None = None

    def __post_init__(self):
        """Check the fields and turn numbers of numpy into Python's own."""
        if (self.rival is None) != (self.rival_margin is None):
            raise ValueError("rival and rival_margin must be given together")
        against = self.rival is not None
        for name in ("statement", "claim", "notebook", *(["rival"] if against else [])):
            _line(getattr(self, name), name)
        if not re.fullmatch(r"[SDT][1-9][0-9]*", self.statement):
            raise ValueError(f"statement must be a key such as 'S2', got {self.statement!r}")
        if not re.fullmatch(r"\w+", self.notebook):
            raise ValueError(f"notebook must be a name such as '00_tour', got {self.notebook!r}")
        if isinstance(self.instances, bool) or not isinstance(self.instances, numbers.Integral):
            raise TypeError(f"instances must be an integer, got {self.instances!r}")
        if self.instances < 1:
            raise ValueError(f"instances must be at least 1, got {self.instances}")
        object.__setattr__(self, "instances", int(self.instances))
        for name in ("worst_margin", *(["rival_margin"] if against else [])):
            margin = getattr(self, name)
            if isinstance(margin, bool) or not isinstance(margin, numbers.Real):
                raise TypeError(f"{name} must be a real number, got {margin!r}")
            object.__setattr__(self, name, float(margin))

    @property
    def holds(self):
        """Whether the claim held on every instance and the rival, if there is one, did not."""
        return self.worst_margin >= 0 and (self.rival is None or self.rival_margin < 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Claim:
    """What an experiment found out about a statement: a claim, its rival, and all their margins.

    Parameters
    ----------
    statement, claim : str
        As in `Check`.
    margins : array_like
        The signed distance to a violation on each instance, of any shape.
    rival : str, optional
        As in `Check` (default: none).
    rival_margins : array_like, optional
        The rival's signed distance to a violation on each instance it speaks of.
    instances : int, optional
        Number of instances, where a margin summarises many (default: the number of margins).
    """

    statement: str
    claim: str
    margins: np.ndarray
    rival: str | None = None
    rival_margins: np.ndarray | None = None
    instances: int | None = None

    def check(self, notebook):
        """Return the row of the table: the number of margins and the smallest ones.

        Parameters
        ----------
        notebook : str
            Name of the notebook, without ending.

        Returns
        -------
        Check
            NaN among the margins makes the smallest one NaN, which is a violation.
        """
        margins = np.asarray(self.margins, dtype=np.float64)
        against = self.rival_margins
        return Check(
            self.statement,
            self.claim,
            notebook,
            margins.size if self.instances is None else self.instances,
            float(np.min(margins)) if margins.size else np.nan,
            self.rival,
            None if against is None else float(np.min(against)),
        )


class Record:
    """What a notebook leaves behind: its rows of the table of statements and its figure.

    It is made right behind the parameters, which are then checked against their defaults.

    Parameters
    ----------
    name : str
        Name of the notebook, without ending.
    figures_dir : path-like, optional
        Folder of the figure and its data (default: none, nothing is written).
    results_dir : path-like, optional
        Folder of the rows (default: none, nothing is written).
    stop_if_violated : bool, optional
        Whether `finish` raises if a row does not hold (default: True).

    Raises
    ------
    ValueError
        If a parameter of the running notebook is of another kind than its default.

    Examples
    --------
    >>> record = Record("00_tour")
    >>> record.check(Claim("S1", "the divergence falls; margin its decrease", [0.1, 0.2]))
    >>> record.finish()
    S1    2 cases  worst margin 1.0e-01
    """

    def __init__(self, name, figures_dir=None, results_dir=None, stop_if_violated=True):
        check_session()
        self.name, self.figures_dir, self.results_dir = name, figures_dir, results_dir
        self.stop_if_violated, self.checks = stop_if_violated, []

    def check(self, *claims):
        """Add a row for each claim.

        Parameters
        ----------
        *claims : Claim
            In the order of the rows.
        """
        self.checks += [claim.check(self.name) for claim in claims]

    def figure(self, figure, data):
        """Save the notebook's figure and the numbers that it shows, and show it.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            The figure.
        data : dict of str to array_like of shape (K,)
            As for `save_figure`.
        """
        import matplotlib.pyplot as plt

        save_figure(figure, data, self.name, self.figures_dir)
        plt.show()

    def finish(self):
        """Save the rows and print them.

        Raises
        ------
        ValueError
            If there is no row.
        ArithmeticError
            If a row does not hold, unless ``stop_if_violated`` is False.
        """
        save_checks(self.checks, self.name, self.results_dir)
        for check in self.checks:
            against = "" if check.rival is None else f"  rival's {check.rival_margin:.1e}"
            print(
                f"{check.statement:3s} {check.instances:3d} cases  "
                f"worst margin {check.worst_margin:.1e}{against}"
            )
        violated = [check.claim for check in self.checks if not check.holds]
        if violated and self.stop_if_violated:
            raise ArithmeticError(f"does not hold: {'; '.join(violated)}")


def sort_checks(checks):
    """Sort checks by the number of their statement, then by notebook.

    Parameters
    ----------
    checks : iterable of Check
        The checks. Those of one statement and one notebook keep their order.

    Returns
    -------
    list of Check
        The sorted checks.
    """
    return sorted(
        checks,
        key=lambda c: ("SDT".index(c.statement[0]), int(c.statement[1:]), c.notebook),
    )


def write_checks(checks, path):
    """Write checks as a CSV file with the columns of the table of statements.

    Parameters
    ----------
    checks : iterable of Check
        The checks, in the order of the rows.
    path : path-like
        The file; its folder must exist.
    """
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for check in checks:
            *texts, margin, rival, rival_margin = dataclasses.astuple(check)
            against = ["", ""] if rival is None else [rival, repr(rival_margin)]
            writer.writerow([*texts, repr(margin), *against, str(check.holds).lower()])


def save_checks(checks, name, directory):
    """Save the checks of one notebook for the table of statements.

    Parameters
    ----------
    checks : iterable of Check
        The checks, at least one, all of them of the notebook `name`.
    name : str
        Name of the notebook without ending.
    directory : path-like or None
        Folder to write ``{name}.statements.csv`` to, made if it does not exist. With None nothing
        is written (the arguments are checked all the same).

    Raises
    ------
    ValueError
        If there are no checks, or one of them names another notebook.
    """
    checks = list(checks)
    if not checks:
        raise ValueError("checks must not be empty")
    for check in checks:
        if check.notebook != name:
            raise ValueError(f"checks must all be of the notebook {name!r}, got {check.notebook!r}")
    if directory is None:
        return
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_checks(checks, directory / f"{name}.statements.csv")


def read_checks(path):
    """Read a CSV file written by `save_checks` or `write_checks`.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    list of Check
        Its rows.

    Raises
    ------
    ValueError
        If the columns are not those of the table of statements, a row is incomplete, or its
        ``holds`` disagrees with its margin.
    """
    with Path(path).open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    if tuple(header) != COLUMNS:
        raise ValueError(f"{path} must have the columns {', '.join(COLUMNS)}, got {header}")
    checks = []
    for number, row in enumerate(rows, start=2):
        if len(row) != len(COLUMNS):
            raise ValueError(f"{path}, line {number}: {len(row)} values for {len(COLUMNS)} columns")
        *texts, instances, margin, rival, rival_margin, holds = row
        against = (rival, float(rival_margin)) if rival or rival_margin else ()
        check = Check(*texts, int(instances), float(margin), *against)  # type: ignore[call-arg, arg-type]
        if holds != str(check.holds).lower():
            raise ValueError(
                f"{path}, line {number}: holds is {holds!r}, but the margin is {margin}"
            )
        checks.append(check)
    return checks


def checks_to_markdown(checks):
    """Write checks as a Markdown table: margins of three digits, the rivals' rounded up.

    Parameters
    ----------
    checks : iterable of Check
        The checks, in the order of the rows.

    Returns
    -------
    str
        The table, with a line end after its last row.
    """
    down, up = (
        decimal.Context(prec=3, rounding=rounding)
        for rounding in (decimal.ROUND_FLOOR, decimal.ROUND_CEILING)
    )
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|---|---|---:|---:|---|---:|---|"]
    for check in checks:
        claim, rival = (text.replace("|", r"\|") for text in (check.claim, check.rival or ""))
        margin = f"{float(down.create_decimal(check.worst_margin)):.3g}"
        against = ""
        if check.rival is not None:
            against = f"{float(up.create_decimal(check.rival_margin)):.3g}"
        lines.append(
            f"| {check.statement} | {claim} | {check.notebook} | {check.instances} "
            f"| {margin} | {rival} | {against} | {'yes' if check.holds else '**no**'} |"
        )
    return "\n".join(lines) + "\n"
