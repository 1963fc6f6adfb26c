import csv
import hashlib

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from deepfact.figures import OKABE_ITO, figure_style, save_figure

DATA = {"x": [1, 2, 3], "y": [0.1, 1e-300, np.inf], "kind": ["flow", "limit", "a,b"]}


def draw():
    with figure_style():
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [1, 2], label=r"$\|x\|_1$")
        axes.fill_between([0, 1], [0, 0], [1, 1], alpha=0.3)
        axes.legend()
    return figure


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_saves_figure_and_data(tmp_path, caplog):
    save_figure(draw(), DATA, "00_toy", tmp_path / "deep" / "folder")
    assert not caplog.records
    folder = tmp_path / "deep" / "folder"
    assert {path.name for path in folder.iterdir()} == {
        f"00_toy.{ending}" for ending in ("pdf", "svg", "png", "csv")
    }
    assert (folder / "00_toy.pdf").read_bytes().startswith(b"%PDF")
    assert (folder / "00_toy.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "00_toy.svg").read_text(encoding="utf-8")


def test_same_bytes_whatever_the_callers_settings(tmp_path):
    save_figure(draw(), DATA, "00_toy", tmp_path / "a")
    with mpl.rc_context(
        {
            "svg.hashsalt": None,
            "pdf.fonttype": 3,
            "savefig.bbox": "tight",
            "savefig.facecolor": "red",
            "svg.fonttype": "none",
            "font.size": 20,
            "savefig.dpi": 30,
            "path.simplify": False,
        }
    ):
        save_figure(draw(), DATA, "00_toy", tmp_path / "b")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_needs_no_latex(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with mpl.rc_context({"text.usetex": True}):
        figure = Figure()
        axes = figure.subplots()
        axes.plot([0, 1], [1, -2], label=r"$x_1$")
        axes.set_title("a title")
        axes.legend()
        save_figure(figure, DATA, "00_toy", tmp_path / "a")
    assert len(list((tmp_path / "a").iterdir())) == 4
    assert axes.title.get_usetex()


def test_no_date_in_the_files(tmp_path):
    save_figure(draw(), DATA, "00_toy", tmp_path)
    assert b"CreationDate" not in (tmp_path / "00_toy.pdf").read_bytes()
    assert b"dc:date" not in (tmp_path / "00_toy.svg").read_bytes()


def test_fonts_are_embedded_as_truetype(tmp_path):
    figure = draw()
    with mpl.rc_context({"pdf.compression": 0}):
        save_figure(figure, DATA, "00_toy", tmp_path)
    assert b"/Type3" not in (tmp_path / "00_toy.pdf").read_bytes()


def test_numbers_keep_all_their_digits(tmp_path):
    values = np.array([0.1, 1 / 3, 1e-300, 5e-324, -np.inf, np.nan, 1e22])
    save_figure(draw(), {"value": values, "ok": values > 0}, "00_toy", tmp_path)
    with (tmp_path / "00_toy.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_array_equal([float(row["value"]) for row in rows], values)
    assert [row["ok"] for row in rows] == [str(ok) for ok in values > 0]


def test_integers_and_strings_are_written_as_they_are(tmp_path):
    save_figure(draw(), DATA, "00_toy", tmp_path)
    text = (tmp_path / "00_toy.csv").read_bytes()
    assert text == b'x,y,kind\n1,0.1,flow\n2,1e-300,limit\n3,inf,"a,b"\n'


def test_no_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_figure(draw(), DATA, "00_toy", None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("directory", [None, "figures"])
@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({}, ValueError),
        ({"x": [1, 2], "y": [1]}, ValueError),
        ({"x": [[1, 2]]}, ValueError),
        ({"x": 1.0}, ValueError),
        ({"": [1]}, ValueError),
        ({1: [1]}, ValueError),
        ({"x": [1j]}, TypeError),
        ({"x": [None]}, TypeError),
    ],
)
def test_rejects_bad_data(data, error, directory, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match="data"):
        save_figure(draw(), data, "00_toy", directory)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "a/b", "..", None])
def test_rejects_bad_names(name, tmp_path):
    with pytest.raises(ValueError, match="name"):
        save_figure(draw(), DATA, name, tmp_path)


def test_rejects_what_is_no_figure(tmp_path):
    with pytest.raises(TypeError, match="figure"):
        save_figure(draw().axes[0], DATA, "00_toy", tmp_path)


def test_style_replaces_the_users_settings_and_gives_them_back():
    with mpl.rc_context({"font.size": 31, "lines.linewidth": 7}):
        with figure_style():
            assert mpl.rcParams["font.size"] < 12
            assert mpl.rcParams["figure.constrained_layout.use"]
        assert mpl.rcParams["font.size"] == 31
        assert mpl.rcParams["lines.linewidth"] == 7


def test_style_works_as_one_call():
    with mpl.rc_context():
        figure_style()
        assert mpl.rcParams["figure.constrained_layout.use"]


def test_colours_differ_also_in_grey():
    """The first three, which most figures need, differ in luminance from white and each other."""
    first = list(OKABE_ITO.values())[:3]
    grey = sorted(np.dot(mpl.colors.to_rgb(color), [0.2126, 0.7152, 0.0722]) for color in first)
    assert np.diff([*grey, 1]).min() > 0.02
