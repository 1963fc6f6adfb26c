"""Colours, line styles and markers that keep cases apart, in grey too; numbers in labels."""

import numpy as np

from deepfact.figures import OKABE_ITO

__all__ = ["LOOKS", "power_of_ten"]

LOOKS = [
    (OKABE_ITO[name], line, marker)
    for name, line, marker in (
        ("black", ":", "o"),
        ("blue", "-", "s"),
        ("vermillion", "--", "^"),
        ("green", "-.", "D"),
        ("purple", (0, (3, 1, 1, 1, 1, 1)), "v"),
        ("orange", (0, (5, 1)), "P"),
    )
]
"""Colour, line style and marker of six cases."""


def power_of_ten(value: float) -> str:
    """Write a positive number for a label: powers of ten below 0.1 as such.

    Parameters
    ----------
    value : float
        The number.

    Returns
    -------
    str
        In TeX, to stand between dollars.
    """
    exponent = np.log10(value)
    whole = exponent < -1 and abs(exponent - round(exponent)) < 1e-9
    return f"10^{{{round(exponent)}}}" if whole else f"{value:g}"
