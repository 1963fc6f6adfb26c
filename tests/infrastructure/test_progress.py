"""Long work shows a bar where somebody watches, and nowhere else."""

import os
import re
import subprocess
import sys
import termios
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORK = "import deepfact; deepfact.phase_transition(10, [(5, 1)], 2, workers=1, methods=['depth 3'])"


def stderr_of_work(watched):
    """Run some long work; return what it prints on stderr, a terminal or a pipe."""
    ours, theirs = os.openpty() if watched else os.pipe()
    if watched:
        termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen([sys.executable, "-c", WORK], stderr=theirs) as process:
        os.close(theirs)
        printed = b""
        try:
            while chunk := os.read(ours, 1000):
                printed += chunk
        except OSError:  # how Linux says that a terminal was closed
            pass
    os.close(ours)
    assert process.returncode == 0
    return printed


def test_bar_on_a_terminal_only():
    assert b"100%" in stderr_of_work(watched=True)
    assert stderr_of_work(watched=False) == b""


def test_every_bar_is_off_when_nobody_watches():
    for folder in ("deepfact", "workflow", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            bars = len(re.findall(r"\btqdm\(", text))
            assert bars <= len(re.findall(r"disable=None|\*\*bar\b", text)), path
