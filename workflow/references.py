"""Write the references of docs/statements.md from the one bibliography, docs/references.bib.

`python -m workflow.references` writes it. The book formats the same file, with the same labels.
"""

import re
from pathlib import Path

from pybtex.database import parse_file
from pybtex.plugin import find_plugin
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.sorting import BaseSortingStyle

BIBLIOGRAPHY = Path("docs/references.bib")
STATEMENTS = Path("docs/statements.md")

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


def render(text, bibliography):
    """Put the references that the statements page cites into its text, as its last section."""
    plain = find_plugin("pybtex.backends", "plaintext")("utf-8")
    data = parse_file(bibliography, bib_format="bibtex")
    cited = set(CITED.findall(LIST.sub("", text)))
    if unknown := cited - set(data.entries):
        raise KeyError(f"not in {bibliography}: {', '.join(sorted(unknown))}")
    entries = KeyStyle().format_bibliography(data, sorted(cited))
    lines = (f"- **[{e.label}]** {' '.join(e.text.render(plain).split())}\n" for e in entries)
    return LIST.sub(lambda _: "".join(lines), text)


def main():
    """Write docs/statements.md anew."""
    text = STATEMENTS.read_text(encoding="utf-8")
    STATEMENTS.write_text(render(text, BIBLIOGRAPHY), encoding="utf-8")


if __name__ == "__main__":
    main()
