"""How long each notebook takes, read from figures/manifest.json."""

import json
import math
from pathlib import Path


def notebook_times(manifest):
    """Return the times by notebook, rounded up so that they rarely change.

    Parameters
    ----------
    manifest : pathlib.Path
        As workflow/manifest.py writes it.

    Returns
    -------
    dict of str to str
        "25 s" or "3 min" for each notebook.
    """
    made = json.loads(manifest.read_text(encoding="utf-8"))["made"]
    seconds = {Path(each["by"]).stem: each["seconds"] for each in made if is_notebook(each["by"])}
    return {name: rounded(time) for name, time in seconds.items() if time is not None}


def is_notebook(maker):
    """Whether what made a file is a notebook."""
    return maker.startswith("notebooks/")


def rounded(seconds):
    """Write a time in steps of five seconds, of a minute above one."""
    five = 5 * math.ceil(seconds / 5)
    return f"{five} s" if five <= 60 else f"{math.ceil(seconds / 60)} min"
