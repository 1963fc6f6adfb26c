"""Bring up, and take down again, a real Slurm of two nodes on this machine, to try the workflow on.

`python tests/infrastructure/two_node_slurm.py up` needs root and Debian's packages slurm-wlm and
munge, but no systemd. Both nodes are this machine, with one core each. Everything listens on the
loopback interface and lives in one folder, except for the link /etc/slurm/slurm.conf: job steps
look for the configuration there. A configuration that is there already is not touched. `down` ends
the jobs and the daemons, each by its number.
"""

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

# Munge wants its socket where every user can reach it, and no user but root can write.
FOLDER = Path("/run/two-node-slurm")
LINK = Path("/etc/slurm/slurm.conf")
NODES = {"n1": 26821, "n2": 26822}

CONFIGURATION = """
ClusterName=two-nodes
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=26817
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
# Without control groups, which need rights of their own: memory is shared out, not enforced.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# A node may have fewer cores than it says, and may come back after it was lost.
SlurmdParameters=config_overrides
ReturnToService=2
# There is no accounting: finished jobs stay in the queue's memory, where squeue finds them.
AccountingStorageType=accounting_storage/none
MinJobAge=43200
KillWait=5
PartitionName=main Nodes=ALL Default=YES MaxTime=60
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=3000\n"


def up():
    """Start the daemons and wait until both nodes are idle."""
    for program in ("munged", "slurmctld", "slurmd", "sbatch"):
        if shutil.which(program, path=SEARCH) is None:
            sys.exit(f"{program} is missing: apt-get install slurm-wlm munge")
    if os.geteuid() != 0:
        sys.exit("only root can start Slurm's daemons")
    for path in (LINK, FOLDER):
        if os.path.lexists(path):
            sys.exit(f"{path} is there already")
    FOLDER.mkdir(mode=0o755)
    for name in ("state", *NODES):
        (FOLDER / name).mkdir()
    key = FOLDER / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))
    host = socket.gethostname().partition(".")[0]
    configuration = FOLDER / "slurm.conf"
    nodes = "".join(NODE.format(name=name, host=host, port=port) for name, port in NODES.items())
    configuration.write_text(CONFIGURATION.format(host=host, folder=FOLDER) + nodes)
    LINK.parent.mkdir(parents=True, exist_ok=True)
    LINK.symlink_to(configuration)
    try:
        files = {
            name: f"--{name}-file={FOLDER}/munge.{name}" for name in ("key", "pid", "log", "seed")
        }
        start("munged", "--foreground", f"--socket={FOLDER}/munge.socket", *files.values())
        wait_for((FOLDER / "munge.socket").exists)
        start("slurmctld", "-D", "-c", "-f", configuration)
        for name in NODES:
            start("slurmd", "-D", "-N", name, "-f", configuration)
        wait_for(
            lambda: ask("sinfo", "--noheader", "--Node", "--format=%t").split() == ["idle"] * 2
        )
    except TimeoutError:
        for log in sorted(FOLDER.glob("*.log")):
            print(f"{log}:\n{log.read_text()[-1000:]}", file=sys.stderr)
        down()
        sys.exit("Slurm did not come up")
    print(ask("sinfo"), end="")


def down():
    """End the jobs, then the daemons; remove the link and the folder."""
    if LINK.is_symlink() and LINK.readlink().parent == FOLDER:
        ask("scancel", "--partition=main")
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: not ask("squeue", "--noheader", "--states=all,running,completing"))
        LINK.unlink()
    for file in sorted(FOLDER.glob("*.number"), reverse=True):
        number = int(file.read_text())
        if is_ours(number):
            os.kill(number, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                wait_for(lambda number=number: not is_ours(number))
    shutil.rmtree(FOLDER, ignore_errors=True)


def start(program, *arguments):
    """Start a daemon in a session of its own and note its number."""
    order = len(list(FOLDER.glob("*.number")))
    with (FOLDER / f"{order}-{program}.log").open("w") as log:
        process = subprocess.Popen(
            [shutil.which(program, path=SEARCH), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (FOLDER / f"{order}.number").write_text(str(process.pid))


def is_ours(number):
    """Say whether the process is one that we started, and lives."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return os.fsencode(FOLDER) in Path(f"/proc/{number}/cmdline").read_bytes()
    return False


def ask(*command):
    """Return what a command of Slurm prints; nothing, if it fails."""
    return subprocess.run(command, capture_output=True, text=True).stdout


def wait_for(condition, seconds=30):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.2)


SEARCH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["up", "down"])
    {"up": up, "down": down}[parser.parse_args().what]()
