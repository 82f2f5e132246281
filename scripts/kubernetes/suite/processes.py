"""Child processes: ended by id, last started first, and by the kernel if this process dies.

Start them from a thread that outlives them: the kernel's signal comes with its end.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

STOP_SECONDS = 10.0


class Failed(Exception):
    """One line for the person who started the suite."""


class Interrupted(Failed):
    """A signal asked to end."""


def free_port() -> int:
    """A free TCP port of 127.0.0.1."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until(what: str, seconds: float, ready: Callable[[], bool]) -> None:
    """Polls until the condition holds; Failed names it when the time is over."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)


def spawn(
    command: Sequence[str | Path],
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    piped: bool = False,
) -> subprocess.Popen[str]:
    """Starts a program in a session of its own; its output goes to the log, or with
    `piped` its input and standard output to the caller."""
    with log.open("ab") as out:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else out,
            stderr=out,
            env=None if env is None else dict(env),
            cwd=cwd,
            text=True,
            start_new_session=True,
        )


def end(process: subprocess.Popen[str], seconds: float = STOP_SECONDS) -> None:
    """SIGTERM, and SIGKILL for one that does not listen."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


class Processes:
    """Named children with a log file each."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._may_end: set[str] = set()
        logs.mkdir(parents=True, exist_ok=True)

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def start(
        self, name: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None, piped: bool = False
    ) -> subprocess.Popen[str]:
        environment = {**os.environ, **(env or {})}
        process = spawn(command, self.log(name), environment, piped=piped)
        self._running[name] = process
        with (self._logs / "processes").open("a") as file:
            file.write(f"{name} {process.pid}\n")
        return process

    def __str__(self) -> str:
        return ", ".join(f"{name} {process.pid}" for name, process in self._running.items())

    def check(self) -> None:
        """Failed when a child ended by itself."""
        for name, process in self._running.items():
            code = process.poll()
            if code is not None and name not in self._may_end:
                raise Failed(f"{name} ended with {code}: {self.log(name)}")

    def wait_until(self, what: str, seconds: float, ready: Callable[[], bool]) -> None:
        """As the function, and fails at once when a child ends."""

        def ready_or_failed() -> bool:
            self.check()
            return ready()

        wait_until(what, seconds, ready_or_failed)

    def may_end(self, name: str) -> None:
        """It may end by itself from now on; if it does not, `stop_all` ends it."""
        self._may_end.add(name)

    def stop_all(self) -> None:
        while self._running:
            _, process = self._running.popitem()
            end(process)
