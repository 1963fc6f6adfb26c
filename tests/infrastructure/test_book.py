"""The book: built without warnings, links resolved, nothing from another host, complete."""

import inspect
import re
import shutil
import subprocess
import sys
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

import deepfact

book = pytest.importorskip("workflow.book", reason="the extra `book` is not installed")
references = pytest.importorskip("workflow.references")

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# The page of a statement, by the first letter of its key.
PARTS = {"S": "statements", "D": "statements", "T": "overparameterization"}
# What a browser fetches without being asked to.
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """The anchors, the links and what is fetched, of one page."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.fetched, self.pictures = {""}, set(), set(), {}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[key] for key in ("id", "name") if values.get(key)}
        if tag == "a" and values.get("href"):
            self.links.add(values["href"])
        if tag == "img":
            self.pictures[values["src"]] = values.get("alt") or ""
        if values.get(FETCHED.get(tag)):
            self.fetched.add(values[FETCHED[tag]])


def is_remote(target):
    parts = urllib.parse.urlsplit(target)
    return parts.scheme not in ("", "data") or bool(parts.netloc)


def broken_links(folder):
    """Return every link inside the folder that leads to no file or to no anchor of it."""
    pages = {path.resolve(): Page(path) for path in folder.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for target in page.links | page.fetched:
            if is_remote(target):
                continue
            parts = urllib.parse.urlsplit(target)
            file = path if not parts.path else path.parent / urllib.parse.unquote(parts.path)
            file = file.resolve()
            anchor = urllib.parse.unquote(parts.fragment)
            known = pages[file].anchors if file in pages else {""}
            if not file.is_file() or anchor not in known:
                broken.append(f"{path.relative_to(folder.resolve())}: {target}")
    return sorted(broken)


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """Build the book of the notebooks as they are committed, executed with small parameters."""
    folder = tmp_path_factory.mktemp("book")
    notebooks = [f"notebooks/{name}.ipynb" for name in NOTEBOOKS]
    command = [sys.executable, "-m", "workflow.book", *notebooks]
    done = subprocess.run(
        [*command, "--figures", "figures", "--output", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # Sphinx is quiet except for warnings
    return folder / "html"


def test_links_inside_resolve(html):
    assert broken_links(html) == []


def test_broken_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="#here"></a><a href="#there"></a><a href="b.html"></a>'
        '<a href="c.html#x"></a><a href="https://example.org/#y"></a><img src="d.png">'
    )
    (tmp_path / "c.html").write_text('<p id="z"><a href="a.html#here"></a>')
    assert broken_links(tmp_path) == [
        "a.html: #there",
        "a.html: b.html",
        "a.html: c.html#x",
        "a.html: d.png",
    ]


def test_nothing_comes_from_another_host(html):
    for path in html.rglob("*.html"):
        assert not [target for target in Page(path).fetched if is_remote(target)], path
    for path in html.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", path.read_text("utf-8"))


def test_every_public_name_has_an_entry(html):
    anchors = set().union(*(Page(path).anchors for path in (html / "api").glob("*.html")))
    for name in deepfact.__all__:
        value = getattr(deepfact, name)
        assert (f"module-deepfact.{name}" if inspect.ismodule(value) else f"deepfact.{name}") in (
            anchors
        )
    assert {f"deepfact.theory.{name}" for name in deepfact.theory.__all__} <= anchors
    assert set(deepfact.rates.__all__) <= set(deepfact.theory.__all__)


def test_every_notebook_and_statement_has_its_place(html):
    pages = {name: Page(html / f"{name}.html") for name in (*PARTS.values(), "checks", "gallery")}
    statements, more, checks, gallery = pages.values()
    for name in NOTEBOOKS:
        for links in (statements.links | more.links, checks.links, gallery.links):
            assert f"notebooks/{name}.html" in links
    for check in deepfact.read_checks(ROOT / "figures/statements.csv"):
        anchor, part = check.statement.lower(), PARTS[check.statement[0]]
        assert f"#{anchor}" in pages[part].links
        assert anchor in pages[part].anchors
        assert f"{part}.html#{anchor}" in checks.links
    assert {"#t4", "#t15"} <= more.links
    assert {"t4", "t15"} <= more.anchors
    assert {Path(source).stem for source in gallery.fetched} >= set(NOTEBOOKS)


def test_every_notebook_can_be_downloaded_without_network(html):
    for name in NOTEBOOKS:
        links = Page(html / f"notebooks/{name}.html").links
        (file,) = (link for link in links if link.endswith(".ipynb") and not is_remote(link))
        copy = (html / "notebooks" / file).read_bytes()
        assert copy == (ROOT / f"notebooks/{name}.ipynb").read_bytes()


def test_every_picture_says_what_it_shows(html):
    for path in html.rglob("*.html"):
        for source, text in Page(path).pictures.items():
            assert len(text.split()) > 3, f"{path}: {source}"
    for name in NOTEBOOKS:
        pictures = Page(html / f"notebooks/{name}.html").pictures
        caption = (ROOT / f"docs/captions/{name}.rst").read_text(encoding="utf-8")
        assert [text.split() for text in pictures.values()] == [caption.split()]


def test_statement_without_origin_is_named():
    with pytest.raises(ValueError, match="S2"):
        book.statements_page("# T\n\n## Conventions\n\n## S2 A claim\n\nIt holds.\n", [], {})


def test_rivals_are_listed(monkeypatch):
    monkeypatch.chdir(ROOT)
    without = deepfact.Check("S1", "a claim", "00_tour", 3, 0.5)
    claim = "a claim; margin: its distance"
    check = deepfact.Check("S2", claim, "00_tour", 3, 0.5, "|x|_1 < $2", -0.25)
    *_, row = book.rival_table([without, check]).splitlines()
    assert row == (
        r"| [**S2**](#s2) | a claim | \|x\|\_1 \< \$2 "
        "| [`00_tour`](notebooks/00_tour.ipynb), 3 instances | -0.25 |"
    )
    assert len(book.rival_table([without]).splitlines()) == 2


def test_every_figure_has_a_caption():
    assert sorted(path.stem for path in (ROOT / "docs/captions").iterdir()) == NOTEBOOKS


def test_references_are_those_of_the_bibliography():
    """Written by `make readme`."""
    text, *others = ((ROOT / page).read_text(encoding="utf-8") for page in references.PAGES)
    assert references.render(text, ROOT / references.BIBLIOGRAPHY, others) == text


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("see [FR13, chapter 4].", "see {cite:p}`FR13{chapter 4}`."),
        ("[WGL+20] and [A, -A]", "{cite:p}`WGL+20` and [A, -A]"),
        ("(arXiv:2307.07410)", "{cite:p}`WAH23`"),
        ("(2023, arXiv:2307.07410)", "(2023, {cite:p}`WAH23`)"),
        ("arXiv:1234.5678, [x](https://arxiv.org/abs/2307.07410)", None),
        ("`00_tour`, **S2, bold**", "[`00_tour`](../notebooks/00_tour.ipynb), [**S2, bold**](#s2)"),
        ("`docs/statements.md`", "[`docs/statements.md`](../statements.md)"),
        ("[a](../notebooks/00_tour.ipynb)", "[a](notebooks/00_tour.ipynb)"),
        ("[a](../Snakefile)", f"[a]({book.REPOSITORY}Snakefile)"),
    ],
)
def test_link(text, linked, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert book.link(text, root="../") == (text if linked is None else linked)


def test_page_of_a_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    cells = [
        nbformat.v4.new_markdown_cell("# A title with $\\ell_1$\n\nText:\n$$1 +\n1 = 2 .$$\nText."),
        *(
            nbformat.v4.new_code_cell("a = 1", metadata={"tags": [tag]})
            for tag in ("parameters", "injected-parameters", "other")
        ),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "00_tour.ipynb")
    title, *code = book.notebook_page(tmp_path / "00_tour.ipynb").cells
    assert title.source.startswith("# A title with ℓ₁\n\n[The notebook]")
    assert title.source.endswith("\n\nText:\n\n$$1 +\n1 = 2 .$$\n\nText.")
    assert ["hide-input" in cell.metadata.tags for cell in code] == [True, True, False]


def edges(nodes, pairs):
    names = dict(nodes)
    return {(names[a], names[b]) for a, b in pairs}


def test_rule_graph_is_that_of_the_workflow():
    """Drawn by `make graphs`."""
    command = [sys.executable, "-m", "snakemake", "all", "book", "--rulegraph"]
    dot = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    svg = (ROOT / "docs/rulegraph.svg").read_text(encoding="utf-8")
    drawn = edges(
        re.findall(r"<title>(\d+)</title>.*?<text[^>]*>(\w+)</text>", svg, re.DOTALL),
        re.findall(r"<title>(\d+)&#45;&gt;(\d+)</title>", svg),
    )
    wanted = edges(re.findall(r'(\d+)\[label = "(\w+)', dot), re.findall(r"(\d+) -> (\d+)", dot))
    assert len(wanted) > 3
    assert drawn == wanted


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_in_chromium_without_network(html, width):
    """Formulas are typeset, and nothing reaches out of the window or is cut off by it."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": width, "height": 800}, offline=True)
        page = context.new_page()
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        for name in SEEN:
            page.goto((html / f"{name}.html").as_uri())
            seen = page.evaluate(LAYOUT)
            assert seen["formulas"] == seen["typeset"], name
            assert seen["outside"] == [], name
            assert seen["scroll"] <= width, name
            if name == "statements":
                assert seen["formulas"] > 100
        browser.close()
    assert not [url for url in requests if not url.startswith(("file:", "data:"))]


SEEN = ["index", "statements", "overparameterization", "checks", "rivals", "gallery", "api/flows"]
SEEN.append(f"notebooks/{NOTEBOOKS[1]}")  # a formula in its text is wider than a phone
# What is wider than the window must be inside something that scrolls.
LAYOUT = """async () => {
  if (window.MathJax) await MathJax.startup.promise;
  await new Promise(resolve => setTimeout(resolve, 200));
  const scrolls = e => e.tagName !== "ARTICLE" &&
    (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  const parts = [...document.querySelectorAll("article :is(p, .math, table, img, pre, dt)")];
  return {
    formulas: document.querySelectorAll(".math").length,
    typeset: document.querySelectorAll(".math > mjx-container:not(:has(mjx-merror))").length,
    outside: parts.filter(e => e.getBoundingClientRect().right > innerWidth && !scrolls(e))
      .map(e => e.outerHTML.slice(0, 200)),
    scroll: document.scrollingElement.scrollWidth,
  };
}"""
