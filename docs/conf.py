"""Sphinx makes the book from the pages that `workflow.book` gathers: run `make book`."""

import re
from importlib import metadata
from pathlib import Path

from numpydoc.xref import DEFAULT_LINKS
from pybtex.plugin import register_plugin

import deepfact
from workflow.references import KeyStyle, arxiv_keys

project = "deepfact"
author = "deepfact contributors"
release = metadata.version("deepfact")

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx-mathjax-offline",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinxcontrib.bibtex",
]
html_theme = "furo"
html_title = "deepfact"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_copy_source = False
exclude_patterns = ["downloads"]  # notebooks as files
html_show_copyright = False
html_use_index = False
html_domain_indices = False

nb_execution_mode = "off"  # the workflow has executed them
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 2
smartquotes = False  # x' is a derivative

register_plugin("pybtex.style.formatting", "keys", KeyStyle)
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "keys"

default_role = "py:obj"
# Arguments, fields and a constant, in backticks without a page of their own.
_NAMES = "claim data figure instances METHODS name notebook statement worst_margin write_checks"
nitpick_ignore = [("py:obj", name) for name in _NAMES.split()]
autodoc_typehints = "none"  # the docstrings have types
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc_xref_aliases = {
    name: f"deepfact.{name}"
    for name in deepfact.__all__
    if isinstance(getattr(deepfact, name), type)
}
numpydoc_xref_aliases["Asymptote"] = "deepfact.theory.Asymptote"
numpydoc_xref_ignore = "all"
DEFAULT_LINKS.clear()  # those to other projects: there is no network to look them up

_ARXIV = arxiv_keys(Path(__file__).with_name("references.bib"))
_STATEMENTS = re.compile(r"([Ss]tatements? )([ST]\d+(?:(?:, | and | to )[ST]\d+)*)")


def link_docstring(app, what, name, value, options, lines):  # noqa: ARG001
    """Link statements and references; let the bars and stars of formulas be themselves."""
    text = re.sub(r"(``.*?``)|(\||\*(?! ))", lambda m: m[1] or "\\" + m[2], "\n".join(lines))
    text = re.sub(
        r"``docs/(statements|overparameterization)\.md``", r":doc:`docs/\1.md </\1>`", text
    )
    text = _STATEMENTS.sub(
        lambda m: m[1] + re.sub(r"\w\d+", lambda k: f":ref:`{k[0]} <{k[0].lower()}>`", m[2]), text
    )
    text = re.sub(
        r"arXiv:(\d+\.\d+)",
        lambda m: f":cite:p:`{_ARXIV[m[1]]}`" if m[1] in _ARXIV else m[0],
        text,
    )
    lines[:] = text.split("\n")


def setup(app):
    """Connect what the configuration alone cannot say."""
    app.connect("autodoc-process-docstring", link_docstring, priority=400)  # before numpydoc
