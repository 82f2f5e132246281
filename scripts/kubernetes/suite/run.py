"""What one run owns: a directory and processes. Everything ends with it, Ctrl-C included."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType

from .plane import Plane
from .processes import Failed, Interrupted, Processes

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "deploy/helm/tidegate"
NAMESPACE = RELEASE = "trades"
BEGAN = time.monotonic()


def say(text: str) -> None:
    """Progress, for the person who waits."""
    print(f"kubernetes: {time.monotonic() - BEGAN:6.1f} s  {text}", file=sys.stderr, flush=True)


class Run:
    """Use as a context: the control plane is up inside of it, and nothing is left after it.

    `KEEP_RUN=1` keeps the directory with every log.
    """

    def __init__(self, controllers: bool = True) -> None:
        self._controllers = controllers
        # Built before, by the shell script that starts this.
        self.home = Path(os.environ["KUBERNETES_HOME"])
        self.bin = self.home / "bin"
        self.directory = Path(tempfile.mkdtemp(prefix="tidegate-kubernetes-"))
        self.processes = Processes(self.directory / "logs")
        self._stops: list[Callable[[], None]] = []

    def __enter__(self) -> "Run":
        def interrupted(number: int, _: FrameType | None) -> None:
            raise Interrupted(f"ended by signal {number}")

        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, interrupted)
        try:
            self.plane = Plane(self.bin, self.directory, self.processes, self._controllers)
        except BaseException:
            self.stop()
            raise
        say(f"control plane at https://127.0.0.1:{self.plane.port}, logs in {self.directory}/logs")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def before_end(self, stop: Callable[[], None]) -> None:
        """Is called before the processes end; the last one first."""
        self._stops.append(stop)

    def helm(self, *arguments: str) -> str:
        """Runs helm against this cluster; its output."""
        environment = {**os.environ, "KUBECONFIG": str(self.plane.kubeconfig), "HELM_CACHE_HOME": str(self.directory)}
        done = subprocess.run(["helm", *arguments], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"helm {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def template(self, *arguments: str) -> str:
        """`helm template` of the chart; it does not ask the cluster for its version."""
        return self.helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", "1.35.0", *arguments)

    def stop(self) -> None:
        """Ends every process of the run, then its directory."""
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        while self._stops:
            self._stops.pop()()
        self.processes.stop_all()
        if os.environ.get("KEEP_RUN"):
            say(f"kept {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)


def main(work: Callable[[], None]) -> None:
    """Runs a script's body; exits 1 with one line when it fails."""
    try:
        work()
    except Failed as error:
        say(f"FAILED: {error}")
        sys.exit(1)
