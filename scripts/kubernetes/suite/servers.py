"""Kafka with the topic, and PostgreSQL: the example `servers` of tidegate-local."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .processes import Failed, Processes

# Before the first consumer there is no table.
STORED = """SELECT to_regclass('positions') IS NOT NULL AS there \\gset
\\if :there
SELECT coalesce(sum(next_offset), 0) FROM positions;
\\else
SELECT 0;
\\endif
"""


class Servers:
    """Both run until `stop`."""

    def __init__(self, program: Path, directory: Path, processes: Processes, topic: str, partitions: int, group: str):
        self._processes = processes
        command: list[str | Path] = [program, directory, topic, str(partitions), group]
        self._process = processes.start("servers", command, piped=True)
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"Kafka or PostgreSQL does not start: {processes.log('servers').read_text().strip()}")
        addresses = json.loads(line)
        self.bootstrap: str = addresses["bootstrap"]
        self.database: str = addresses["database"]
        self._broker_pid: int = addresses["broker_pid"]

    @contextmanager
    def kafka_paused(self) -> Iterator[None]:
        """The broker keeps its connections and answers nothing."""
        os.kill(self._broker_pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._broker_pid, signal.SIGCONT)

    def stop(self) -> None:
        self._processes.may_end("servers")
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)


class Rows:
    """How many records are stored: asked of one session, each second."""

    def __init__(self, database: str, processes: Processes) -> None:
        command = ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--dbname", database]
        self._process: subprocess.Popen[str] = processes.start("psql", command, piped=True)

    def stored(self) -> int:
        """The sum of the positions that were committed with rows. Offsets begin at 0."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(STORED)
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Failed("the session with PostgreSQL ended")
        return int(line)
