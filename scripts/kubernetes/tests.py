#!/usr/bin/env python3
"""Processes and schemas of the suite: `python3 scripts/kubernetes/tests.py`, part of make check-deploy."""

import signal
import socket
import tempfile
import time
import unittest
from pathlib import Path

from suite.processes import Failed, Processes, end, free_port, spawn
from suite.schemas import kinds, strict


class SchemaTest(unittest.TestCase):
    def test_listed_properties_take_no_others(self) -> None:
        schema = {"type": "object", "properties": {"a": {"type": "string", "default": ""}, "b": {"allOf": [{"$ref": "#/x"}]}},
                  "x-kubernetes-group-version-kind": []}
        self.assertEqual(strict(schema), {"type": "object", "additionalProperties": False,
                                          "properties": {"a": {"type": "string"}, "b": {"$ref": "#/x"}}})

    def test_kinds_of_documents(self) -> None:
        kind = {"group": "keda.sh", "version": "v1alpha1", "kind": "ScaledObject"}
        documents = [{"a": {"x-kubernetes-group-version-kind": [kind]}, "b": {}}, {}]
        self.assertEqual(kinds(documents), {("keda.sh", "v1alpha1", "ScaledObject")})

    def test_maps_and_open_objects_stay_open(self) -> None:
        labels = {"type": "object", "additionalProperties": {"type": "string"}}
        self.assertEqual(strict(labels), labels)
        self.assertNotIn("additionalProperties", strict({"properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": True}))
        self.assertEqual(strict({"x-kubernetes-int-or-string": True}), {"type": ["integer", "string"]})


class ProcessesTest(unittest.TestCase):
    def test_one_that_ignores_the_signal_is_killed(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory) / "log"
            process = spawn(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"], log, {"PATH": "/usr/bin:/bin"})
            while "up" not in log.read_text():
                time.sleep(0.01)
            end(process, seconds=0.2)
            self.assertEqual(process.returncode, -signal.SIGKILL)

    def test_one_that_ends_by_itself_is_noticed_and_named(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            processes = Processes(Path(directory))
            processes.start("short", ["false"]).wait()
            with self.assertRaisesRegex(Failed, "short ended with 1"):
                processes.check()
            processes.stop_all()

    def test_one_that_may_end_is_ended_all_the_same(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            processes = Processes(Path(directory))
            processes.start("short", ["false"]).wait()
            longer = processes.start("longer", ["sleep", "60"])
            processes.may_end("short")
            processes.may_end("longer")
            processes.check()
            processes.stop_all()
            self.assertEqual(longer.returncode, -signal.SIGTERM)

    def test_a_free_port_can_be_bound(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", free_port()))


if __name__ == "__main__":
    unittest.main()
