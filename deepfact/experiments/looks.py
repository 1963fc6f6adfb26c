"""Colours, line styles and markers that keep cases apart, in grey too."""

from deepfact.figures import OKABE_ITO

__all__ = ["LOOKS"]

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
