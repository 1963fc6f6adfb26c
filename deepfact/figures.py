"""One style for all figures, and saving a figure together with its data, byte-identically.

Matplotlib is imported by the functions that need it, so that importing the package stays quick.
"""

import csv
import re
import warnings
from pathlib import Path

import numpy as np

__all__ = ["OKABE_ITO", "figure_style", "save_figure"]

OKABE_ITO = {
    "black": "#000000",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
}
"""Colours that stay apart for colour-blind readers [1]_, in the order in which figures use them.

.. [1] M. Okabe, K. Ito, "Color Universal Design", 2008.
"""

_STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.prop_cycle": f"cycler(color={[*list(OKABE_ITO.values())[1:7], OKABE_ITO['black']]})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "figure.dpi": 120,
    "figure.figsize": (6.4, 3.2),
    "font.size": 9,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}

# Saving draws the figure, in the style above and with these settings, whatever the caller's are.
_SAVING = {
    "pdf.compression": 6,
    "pdf.fonttype": 42,
    "pdf.inheritcolor": False,
    "pdf.use14corefonts": False,
    "savefig.bbox": None,
    "savefig.facecolor": "auto",
    "savefig.transparent": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "deepfact",
    "svg.id": None,
    "svg.image_inline": True,
}

_FORMATS = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "png": {"Software": None},
}

_PNG_DPI = 200


class _Style:
    """The settings that were replaced: leaving the context brings them back."""

    def __init__(self):
        import matplotlib as mpl
        from matplotlib import style

        self._previous = dict(mpl.rcParams.copy())
        del self._previous["backend"]
        style.use(["default", _STYLE])

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        import matplotlib as mpl

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mpl.MatplotlibDeprecationWarning)
            mpl.rcParams.update(self._previous)


def figure_style():
    """Set matplotlib's parameters to the style of the figures, at once.

    Whatever the user's own matplotlibrc says is set aside. Call it once at the top of a notebook,
    or use it as a context manager, which brings the previous parameters back at its end.

    Returns
    -------
    context manager
        Leaving it restores the parameters as they were before the call.

    Examples
    --------
    >>> import matplotlib as mpl
    >>> with figure_style():
    ...     mpl.rcParams["figure.constrained_layout.use"]
    True
    """
    return _Style()


def _cell(value):
    """Write one value so that reading it back gives the same value."""
    return repr(float(value)) if isinstance(value, np.floating) else str(value)


def _columns(data):
    """Check the columns of a figure's data; return them as arrays."""
    if not data:
        raise ValueError("data must have at least one column")
    columns = {}
    for key, values in data.items():
        if not isinstance(key, str) or not key.strip():
            raise ValueError(f"data must map column names to arrays, got the name {key!r}")
        column = np.asarray(values)
        if column.ndim != 1:
            raise ValueError(f"data[{key!r}] must be 1-dimensional, got shape {column.shape}")
        if column.dtype.kind not in "biufU":
            raise TypeError(
                f"data[{key!r}] must hold real numbers, booleans or strings, got {column.dtype}"
            )
        columns[key] = column
    lengths = {key: column.size for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"data must have columns of one length, got {lengths}")
    return columns


def save_figure(figure, data, name, directory):
    """Save a figure as PDF, SVG and PNG, and the numbers it shows as CSV.

    The same figure gives the same bytes whenever it is saved: no date, no random identifiers, and
    none of the caller's settings go into the files. Numbers are written with all their digits.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    data : dict of str to array_like of shape (K,)
        The columns of the CSV file, in their order: real numbers, booleans or strings.
    name : str
        Name of the files without folder and ending, such as ``"00_tour"``.
    directory : path-like or None
        Folder to write to, made if it does not exist. With None nothing is written (the arguments
        are checked all the same).

    Raises
    ------
    TypeError
        If `figure` is no figure, or a column holds anything but real numbers, booleans or strings.
    ValueError
        If `data` is empty, its columns differ in length or are not 1-dimensional, or `name` is no
        plain file name.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    if not isinstance(figure, Figure):
        raise TypeError(f"figure must be a matplotlib Figure, got {type(figure).__name__}")
    columns = _columns(data)
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(f"name must be a file name without folder and ending, got {name!r}")
    if directory is None:
        return
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    # A text keeps whether LaTeX shall set it: the files must not depend on there being one.
    by_latex = [text for text in figure.findobj(Text) if text.get_usetex()]
    with figure_style():
        mpl.rcParams.update(_SAVING)
        for text in by_latex:
            text.set_usetex(False)
        try:
            for ending, metadata in _FORMATS.items():
                dpi = _PNG_DPI if ending == "png" else "figure"
                figure.savefig(directory / f"{name}.{ending}", dpi=dpi, metadata=metadata)
        finally:
            for text in by_latex:
                text.set_usetex(True)
    with (directory / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(
            [_cell(value) for value in row] for row in zip(*columns.values(), strict=True)
        )
