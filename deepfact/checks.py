"""The table of statements: one row for each numerical check of a statement, with its margin."""

import csv
import dataclasses
import decimal
import numbers
import re
from pathlib import Path

__all__ = [
    "Check",
    "checks_to_markdown",
    "read_checks",
    "save_checks",
    "sort_checks",
    "write_checks",
]

COLUMNS = ("statement", "claim", "notebook", "instances", "worst_margin", "holds")


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

    Raises
    ------
    TypeError
        If a text is not a string, `instances` not an integer or `worst_margin` not a real number.
    ValueError
        If `statement` is not S and a positive number, `claim` is empty or longer than a line,
        `notebook` is no plain name, or `instances` is not positive.

    Examples
    --------
    >>> Check("S1", "the divergence never increases", "03_bregman_identity", 20, 1e-3).holds
    True
    """

    statement: str
    claim: str
    notebook: str
    instances: int
    worst_margin: float

    def __post_init__(self):
        """Check the fields and turn numbers of numpy into Python's own."""
        for name in ("statement", "claim", "notebook"):
            _line(getattr(self, name), name)
        if not re.fullmatch(r"S[1-9][0-9]*", self.statement):
            raise ValueError(f"statement must be a key such as 'S2', got {self.statement!r}")
        if not re.fullmatch(r"\w+", self.notebook):
            raise ValueError(f"notebook must be a name such as '00_tour', got {self.notebook!r}")
        if isinstance(self.instances, bool) or not isinstance(self.instances, numbers.Integral):
            raise TypeError(f"instances must be an integer, got {self.instances!r}")
        if self.instances < 1:
            raise ValueError(f"instances must be at least 1, got {self.instances}")
        if isinstance(self.worst_margin, bool) or not isinstance(self.worst_margin, numbers.Real):
            raise TypeError(f"worst_margin must be a real number, got {self.worst_margin!r}")
        object.__setattr__(self, "instances", int(self.instances))
        object.__setattr__(self, "worst_margin", float(self.worst_margin))

    @property
    def holds(self):
        """Whether the claim held on every instance: a nonnegative margin, not NaN."""
        return self.worst_margin >= 0


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
    return sorted(checks, key=lambda check: (int(check.statement[1:]), check.notebook))


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
            writer.writerow(
                [
                    *dataclasses.astuple(check)[:-1],
                    repr(check.worst_margin),
                    str(check.holds).lower(),
                ]
            )


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
        *texts, instances, margin, holds = row
        check = Check(*texts, instances=int(instances), worst_margin=float(margin))
        if holds != str(check.holds).lower():
            raise ValueError(
                f"{path}, line {number}: holds is {holds!r}, but the margin is {margin}"
            )
        checks.append(check)
    return checks


def checks_to_markdown(checks):
    """Write checks as a Markdown table, margins rounded down to three digits.

    Parameters
    ----------
    checks : iterable of Check
        The checks, in the order of the rows.

    Returns
    -------
    str
        The table, with a line end after its last row.
    """
    rounding = decimal.Context(prec=3, rounding=decimal.ROUND_FLOOR)
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|---|---|---:|---:|---|"]
    for check in checks:
        claim = check.claim.replace("|", r"\|")
        holds = "yes" if check.holds else "**no**"
        lines.append(
            f"| {check.statement} | {claim} | {check.notebook} | {check.instances} "
            f"| {float(rounding.create_decimal(check.worst_margin)):.3g} | {holds} |"
        )
    return "\n".join(lines) + "\n"
