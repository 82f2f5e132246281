"""`tidegate produce` along a profile, with the ledger that the audit reads."""

import json
import threading
import time
from pathlib import Path

from .objects import Json
from .processes import Failed, Processes

FIRST_REPORT_SECONDS = 30.0


class Load:
    """A producer whose last report is at hand."""

    def __init__(
        self, program: Path, processes: Processes, bootstrap: str, topic: str, profile: Path, ledger: Path
    ) -> None:
        self._processes = processes
        self._process = processes.start("produce", [
            program, "produce", "--report", "--exit-on-stdin-close", "--brokers", bootstrap, "--topic", topic,
            "--profile", profile, "--ledger", ledger, "--metrics-addr", "off",
        ], piped=True)
        # With the profile over, it ends by itself.
        processes.may_end("produce")
        self._report: Json = {}
        self.began: float = 0.0
        threading.Thread(target=self._read, daemon=True).start()
        deadline = time.monotonic() + FIRST_REPORT_SECONDS
        while not self.began:
            if self._process.poll() or time.monotonic() > deadline:
                raise Failed(f"the producer does not start: {processes.log('produce')}")
            time.sleep(0.01)

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._report = json.loads(line)
            self.began = self.began or time.time()

    @property
    def acknowledged(self) -> int:
        return int(self._report.get("acked", 0))

    @property
    def is_over(self) -> bool:
        """Everything of the profile is sent and acknowledged."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Flushes and ends."""
        assert self._process.stdin
        self._process.stdin.close()
        code = self._process.wait(60)
        if code != 0:
            raise Failed(f"the producer ended with {code}: {self._processes.log('produce')}")
