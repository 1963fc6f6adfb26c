"""Every tested notebook also stays within what Binder gives: a test behind its last cell."""

import os
from pathlib import Path

import pytest

LARGEST_MEMORY = 1024  # MiB
LARGEST_TIME = 30.0  # seconds of one core


class KernelUse(pytest.Item):
    """Peak memory and processor time of the kernel that has just run the cells."""

    def runtest(self):
        if not Path("/proc/self/status").exists():
            pytest.skip("peak memory is read from /proc")
        process = Path("/proc") / str(self.parent.kernel.km.provisioner.pid)
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        memory = int(status["VmHWM"].split()[0]) / 1024
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        # its own time and that of its processes, in user and system mode
        time = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
        self.user_properties += [("memory in MiB", memory), ("time in s", time)]
        self.add_report_section("call", "use", f"{memory:.0f} MiB, {time:.1f} s")
        assert memory < LARGEST_MEMORY
        assert time < LARGEST_TIME

    def reportinfo(self):
        return self.path, None, f"{self.path.name}: memory and time"


def pytest_collection_modifyitems(items):
    cells = {}
    for item in items:
        if hasattr(item, "cell_num"):
            cells[item.parent] = item
    for file, last in cells.items():
        items.insert(items.index(last) + 1, KernelUse.from_parent(file, name="use"))
