"""Build the book: gather its pages in one folder, then let Sphinx make HTML of them.

Most pages are files of docs/. Made here are the pages of the executed notebooks, the gallery of
figures, and the tables of statements and of checks. Links between all of these are made from what
the texts say anyway: names of notebooks, keys of statements and of references.
"""

import argparse
import dataclasses
import re
import shutil
import sys
from pathlib import Path

import nbformat
from sphinx.cmd.build import build_main

from deepfact.checks import checks_to_markdown, read_checks
from workflow.references import BIBLIOGRAPHY, PAGES, arxiv_keys
from workflow.times import notebook_times

DOCS = Path("docs")
BENCHMARKS = Path("benchmarks/figures")
REPOSITORY = "https://github.com/deepfact/deepfact/blob/main/"
KEY = r"[SDT][1-9]\d*"
DISPLAYED = re.compile(r"^( *)(\$\$.+?\$\$) *$", re.MULTILINE | re.DOTALL)
PARAMETERS = {"parameters": "Default parameters", "injected-parameters": "Parameters of this run"}


def link(text, root=""):
    """Turn what a text in Markdown mentions into links; `root` leads from its page to the top."""
    arxiv = arxiv_keys(BIBLIOGRAPHY)

    def cite(match):
        return f"{{cite:p}}`{arxiv[match[1]]}`" if match[1] in arxiv else match[0]

    for pattern, replacement in [
        (r"\]\(\.\./notebooks/(\w+\.ipynb)\)", r"](notebooks/\1)"),
        (r"\]\(\.\./(benchmarks/figures/\w+\.png)\)", r"](\1)"),
        (r"\]\(\.\./", f"]({REPOSITORY}"),
        (r"\[([A-Z][A-Za-z]+\+?\d\d)(?:, ([^\]]+))?\](?!\()", _citation),
        (r"(?<!/)arXiv:([\w./]+\d)", cite),
        (r"\((\{cite:p\}`[^`]+`)\)", r"\1"),  # it brings its own brackets
        (r"`docs/(statements|overparameterization)\.md`", rf"[`docs/\1.md`]({root}\1.md)"),
        (r"`(figures/statements\.(?:md|csv))`", rf"[`\1`]({root}checks.md)"),
        (r"`(\d\d_\w+)`", rf"[`\1`]({root}notebooks/\1.ipynb)"),
        (rf"\*\*({KEY})\b[^*]*\*\*", lambda found: f"[{found[0]}](#{found[1].lower()})"),
    ]:
        text = re.sub(pattern, replacement, text)
    return text


def _citation(match):
    return f"{{cite:p}}`{match[1]}{{{match[2]}}}`" if match[2] else f"{{cite:p}}`{match[1]}`"


def notebook_page(path):
    """Read an executed notebook; link its text, describe its figure, fold its parameters."""
    description = alternative(path.stem)
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            # MyST wants displayed formulas between empty lines.
            cell.source = DISPLAYED.sub(r"\n\1\2\n", link(cell.source, root="../"))
        for tag in PARAMETERS.keys() & set(cell.metadata.get("tags", [])):
            cell.metadata.tags.append("hide-input")
            cell.metadata["mystnb"] = {"code_prompt_show": PARAMETERS[tag]}
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            cell.metadata["mystnb"] = {"image": {"alt": description}}
    name = path.stem
    first = notebook.cells[0]
    heading, _, rest = first.source.partition("\n")
    heading = heading.replace(r"$\ell_1$", "ℓ₁")  # tabs and the list of pages show it as it is
    files = (
        f"[The notebook]({REPOSITORY}notebooks/{name}.ipynb), also as a"
        f" {{download}}`file <../downloads/{name}.ipynb>`, its [figure](../figures/{name}.pdf)"
        f" and the [data of the figure](../figures/{name}.csv)."
    )
    first.source = f"{heading}\n\n{files}\n{rest}"
    return notebook


def alternative(name):
    """Return the caption of a notebook's figure in one line, for those who cannot see it."""
    return " ".join((DOCS / f"captions/{name}.rst").read_text(encoding="utf-8").split())


def statements_page(text, checks, times):
    """Put a table of its statements on top of a page: source, notebooks, figures, times."""
    text = text.partition("\n## References\n")[0]
    head = ("key", "statement", "source", "notebook", "figure", "time", "checks")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    parts = re.split(rf"^## ({KEY}) (.+)\n", text, flags=re.MULTILINE)[1:]
    for key, name, section in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        source = re.search(r"\*Origin: (.+?)\.\*", section)
        if source is None:
            raise ValueError(f"the section of {key} does not begin with *Origin: ...*")
        rows = [check for check in checks if check.statement == key]
        begin = (f"**{key}**", name, source[1])
        for notebook in dict.fromkeys(row.notebook for row in rows):
            holds = [row.holds for row in rows if row.notebook == notebook]
            end = (
                f"`{notebook}`",
                f"[figure](figures/{notebook}.pdf)",
                times.get(notebook, ""),
                f"{holds.count(True)} of {len(holds)} hold",
            )
            lines.append(f"| {' | '.join((*begin, *end))} |")
            begin = ("", "", "")  # once for each statement
        if not rows:
            lines.append(f"| {' | '.join((*begin, '', '', '', 'none'))} |")
    intro, first, rest = text.partition("\n## ")
    table = "\n".join(lines) + (
        "\n\nTimes are those of the notebook at paper scale on one core, without the tables that it"
        " only draws. Each check, with its margin: [all checks](checks.md).\n"
    )
    rest = re.sub(
        rf"^## ({KEY}) ",
        lambda found: f"({found[1].lower()})=\n{found[0]}",
        first + rest,
        flags=re.MULTILINE,
    )
    # The keys of the dual picture are said in its text: they all lead to its heading.
    targets = "".join(f"(d{number})=\n" for number in re.findall(r"\*\*D(\d+) ", rest))
    rest = rest.replace("## Dual picture\n", f"{targets}## Dual picture\n")
    return link(f"{intro}\n{table}{rest}")


def check_table(checks):
    """Write the table of all checks, linked."""
    safe = [
        dataclasses.replace(
            check, claim=_plain(check.claim), rival=check.rival and _plain(check.rival)
        )
        for check in checks
    ]
    table = checks_to_markdown(safe)
    for name in ("worst_margin", "rival_margin"):
        table = table.replace(name, name.replace("_", " "), 1)
    table = re.sub(rf"^\| ({KEY}) ", r"| **\1** ", table, flags=re.MULTILINE)
    return link(re.sub(r"\| (\d\d_\w+) \|", r"| `\1` |", table))


def rival_table(checks):
    """Write the table of the rivals: what is claimed, what would be wrong, what refutes it."""
    lines = [
        "| key | claim | wrong statement | refuted by | its margin |",
        "|---|---|---|---|---:|",
    ]
    for check in checks:
        if check.rival is not None:
            claim, rival = (
                _plain(text.partition("; margin:")[0]).replace("|", r"\|")
                for text in (check.claim, check.rival)
            )
            refuted = f"`{check.notebook}`, {check.instances} instances"
            lines.append(
                f"| **{check.statement}** | {claim} | {rival} | {refuted} "
                f"| {check.rival_margin:.3g} |"
            )
    return link("\n".join(lines) + "\n")


def _plain(text):
    """Keep Markdown from reading a claim, which is plain text."""
    return re.sub(r"[*_<$]", r"\\\g<0>", text)


def gallery(notebooks):
    """Write the gallery: every figure with its caption, its notebook and its files."""
    entries = []
    for name in notebooks:
        caption = (DOCS / f"captions/{name}.rst").read_text(encoding="utf-8").strip()
        entries.append(
            f":::{{figure}} figures/{name}.png\n:target: notebooks/{name}.html\n"
            f":alt: {alternative(name)}\n\n"
            f"[](notebooks/{name}.ipynb)\n\n{caption}\n"
            f"[PDF](figures/{name}.pdf), [SVG](figures/{name}.svg),"
            f" [data](figures/{name}.csv)\n:::\n"
        )
    return "::::{container} gallery\n" + "\n".join(entries) + "::::\n"


def gather(notebooks, figures, folder):
    """Write all pages of the book, and the files that they show, to a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    others = shutil.ignore_patterns("_static", "captions", "conf.py", "report.rst")
    shutil.copytree(DOCS, folder, ignore=others)
    shutil.copy("CHANGELOG.md", folder / "changelog.md")
    for path in folder.glob("*.md"):
        path.write_text(link(path.read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copytree(BENCHMARKS, folder / BENCHMARKS)
    names = [path.stem for path in notebooks]
    for part in ("figures", "notebooks", "downloads"):
        (folder / part).mkdir()
    for path in notebooks:
        shutil.copy(path, folder / "downloads")
        nbformat.write(notebook_page(path), folder / f"notebooks/{path.name}")
        for ending in ("png", "pdf", "svg", "csv"):
            shutil.copy(figures / f"{path.stem}.{ending}", folder / "figures")
    checks = read_checks(figures / "statements.csv")
    for page, addition in [
        ("gallery", gallery(names)),
        ("checks", check_table(checks)),
        ("rivals", rival_table(checks)),
    ]:
        with (folder / f"{page}.md").open("a", encoding="utf-8") as file:
            file.write(addition)
    times = notebook_times(figures / "manifest.json")
    for page in PAGES:
        text = statements_page(page.read_text(encoding="utf-8"), checks, times)
        (folder / page.name).write_text(text, encoding="utf-8")


def main():
    """Build the book; every warning is an error."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="+", type=Path, help="the executed notebooks")
    parser.add_argument("--figures", required=True, type=Path, help="folder of their figures")
    parser.add_argument("--output", required=True, type=Path, help="folder of the book")
    arguments = parser.parse_args()
    source, html = arguments.output / "source", arguments.output / "html"
    gather(sorted(arguments.notebooks), arguments.figures, source)
    shutil.rmtree(html, ignore_errors=True)
    options = ["--fail-on-warning", "--nitpicky", "--fresh-env", "--quiet"]
    options += ["--conf-dir", str(DOCS), "--doctree-dir", str(arguments.output / "doctrees")]
    sys.exit(build_main([*options, str(source), str(html)]))


if __name__ == "__main__":
    main()
