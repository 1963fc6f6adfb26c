"""Write the list of references in docs/statements.md from docs/references.bib.

It has what the two pages of statements cite. `python -m workflow.references` writes it; the book
formats the same file, with the same labels.
"""

import re
from pathlib import Path

from pybtex.database import parse_file
from pybtex.plugin import find_plugin
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.sorting import BaseSortingStyle

BIBLIOGRAPHY = Path("docs/references.bib")
# The list is on the first of them.
PAGES = [Path("docs/statements.md"), Path("docs/overparameterization.md")]

LIST = re.compile(r"(?<=\n## References\n\n).*", re.DOTALL)
CITED = re.compile(r"\[([A-Z][A-Za-z]+\+?\d\d)[,\]]")


class KeyLabels(BaseLabelStyle):
    """Label each entry by its key."""

    def format_labels(self, sorted_entries):
        """Return the keys of the entries."""
        return [entry.key for entry in sorted_entries]


class KeyOrder(BaseSortingStyle):
    """Sort the entries by their keys."""

    def sorting_key(self, entry):
        """Return the key of an entry."""
        return entry.key.lower()


class KeyStyle(Style):
    """The plain style, with keys as labels."""

    default_label_style = KeyLabels
    default_sorting_style = KeyOrder


def arxiv_keys(bibliography):
    """Return the keys of the entries that have an arXiv number, by that number."""
    entries = parse_file(bibliography, bib_format="bibtex").entries
    return {e.fields["eprint"]: key for key, e in entries.items() if "eprint" in e.fields}


def render(text, bibliography, others=()):
    """Put what a page and others cite into its text, as its last section."""
    plain = find_plugin("pybtex.backends", "plaintext")("utf-8")
    data = parse_file(bibliography, bib_format="bibtex")
    cited = set(CITED.findall("\n".join((LIST.sub("", text), *others))))
    if unknown := cited - set(data.entries):
        raise KeyError(f"not in {bibliography}: {', '.join(sorted(unknown))}")
    entries = KeyStyle().format_bibliography(data, sorted(cited))
    lines = (f"- **[{e.label}]** {' '.join(e.text.render(plain).split())}\n" for e in entries)
    return LIST.sub(lambda _: "".join(lines), text)


def main():
    """Write docs/statements.md anew."""
    text, *others = (page.read_text(encoding="utf-8") for page in PAGES)
    PAGES[0].write_text(render(text, BIBLIOGRAPHY, others), encoding="utf-8")


if __name__ == "__main__":
    main()
