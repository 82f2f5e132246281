#!/usr/bin/env python3
"""The parts of the end-to-end suite without a cluster: `python3 scripts/kubernetes/tests_world.py`, part of
make check-deploy."""

import base64
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import cast

from suite.api import Api
from suite.comparison import judge
from suite.objects import Json
from suite.pod import Sandbox
from suite.processes import Failed
from suite.recorder import Second
from suite.services import Services
from suite.simulated import Figures, figures_of


class FakeApi:
    """Objects by path."""

    def __init__(self, objects: dict[str, Json]) -> None:
        self.objects = objects

    def get(self, path: str) -> Json:
        return self.objects[path]


POD: Json = {
    "metadata": {"name": "consumer-1", "namespace": "trades"},
    "spec": {
        "containers": [{
            "name": "consumer", "image": "tidegate:0.1.0",
            "args": ["consume", "--listen", "0.0.0.0:6000"],
            "env": [
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "PASSWORD_FILE", "value": "/etc/tidegate/database/password"},
                {"name": "USER", "valueFrom": {"secretKeyRef": {"name": "db", "key": "user"}}},
                {"name": "DATABASE", "value": "sqlite:/data/trades.db"},
                {"name": "OTHER", "value": "/database"},
                {"name": "METRICS", "value": "0.0.0.0:8000"},
            ],
            "ports": [{"name": "metrics", "containerPort": 8000}],
            "volumeMounts": [{"name": "data", "mountPath": "/data"},
                             {"name": "database", "mountPath": "/etc/tidegate/database"}],
        }],
        "volumes": [
            {"name": "data", "emptyDir": {}},
            {"name": "database", "secret": {"secretName": "db", "items": [{"key": "password", "path": "password"}]}},
        ],
    },
}
SECRET = {"data": {"user": base64.b64encode(b"me").decode(), "password": base64.b64encode(b"pass").decode()}}


class PodTest(unittest.TestCase):
    def sandbox(self, directory: str, pod: Json = POD) -> Sandbox:
        api = cast(Api, FakeApi({"/api/v1/namespaces/trades/secrets/db": SECRET}))
        return Sandbox(api, pod, "127.77.0.2", Path(directory), {"tidegate": Path("/bin/true")})

    def test_values_name_the_pods_own_directories_and_address(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            sandbox = self.sandbox(directory)
            environment = sandbox.environment
            self.assertEqual(environment["POD_NAME"], "consumer-1")
            self.assertEqual(environment["USER"], "me")
            self.assertEqual(Path(environment["PASSWORD_FILE"]).read_bytes(), b"pass")
            self.assertEqual(environment["DATABASE"], f"sqlite:{directory}/volumes/data/trades.db")
            self.assertEqual(environment["OTHER"], "/database")
            self.assertEqual(environment["METRICS"], "127.77.0.2:8000")
            self.assertEqual(sandbox.port("metrics"), 8000)

    def test_what_is_not_known_is_refused_by_name(self) -> None:
        image: Json = {**POD, "spec": {**POD["spec"], "containers": [{**POD["spec"]["containers"][0], "image": "other:1"}]}}
        volume: Json = {**POD, "spec": {**POD["spec"], "volumes": [{"name": n, "hostPath": {}} for n in ("data", "database")]}}
        for pod, named in ((image, "image other:1"), (volume, "volume data")):
            with tempfile.TemporaryDirectory() as directory, self.assertRaisesRegex(Failed, named):
                self.sandbox(directory, pod)


class ServicesTest(unittest.TestCase):
    def services(self, ready: str) -> Services:
        pod = {"metadata": {"name": "s"}, "status": {"podIP": "127.77.0.9", "conditions": [{"type": "Ready", "status": ready}]},
               "spec": {"containers": [{"ports": [{"name": "grpc", "containerPort": 6001}]}]}}
        services = Services(cast(Api, FakeApi({
            "/api/v1/namespaces/n/services/s": {"spec": {"selector": {"a": "b"}, "ports": [{"port": 6000, "targetPort": "grpc"}]}},
            "/api/v1/namespaces/n/pods?labelSelector=a=b": {"items": [pod]},
        })))
        self.addCleanup(services.stop)
        return services

    def test_a_name_leads_to_a_ready_pod(self) -> None:
        self.assertEqual(self.services("True").resolve("s.n.svc.cluster.local:6000"), ("127.77.0.9", 6001))

    def test_nothing_else_is_reached(self) -> None:
        for ready, target, why in (("False", "s.n.svc:6000", "no ready pod"), ("True", "s.n.svc:7", "no port 7"),
                                   ("True", "example.com:443", "not the name of a Service")):
            with self.assertRaisesRegex(Failed, why):
                self.services(ready).resolve(target)


class JudgeTest(unittest.TestCase):
    def test_near_passes_and_each_bound_fails_by_its_name(self) -> None:
        simulated = Figures(peak_pods=12, first_pod_s=4, peak_s=77, zero_s=183, pod_seconds=1500, peak_lag=8000)
        judge(replace(simulated, peak_pods=14, first_pod_s=14, zero_s=203, pod_seconds=1800), simulated, share=0.8)
        for far, share, named in ((replace(simulated, peak_pods=15), 1.0, "peak_pods"),
                                  (replace(simulated, zero_s=-1), 1.0, "zero_s"),
                                  (replace(simulated, pod_seconds=1199), 1.0, "pod_seconds"),
                                  (simulated, 0.79, "wanted pods")):
            with self.assertRaisesRegex(Failed, named):
                judge(far, simulated, share)


class FiguresTest(unittest.TestCase):
    def test_of_a_series(self) -> None:
        figures = Figures.of([0, 1, 3, 3, 2, 0, 0], [0, 5, 9, 1, 0, 0, 0], load_s=3)
        self.assertEqual(figures, Figures(3, 1, 2, 5, 9, 9))

    def test_a_missed_second_has_the_value_before_it(self) -> None:
        def second(t_s: int, ready: int) -> Second:
            return Second(t_s, 0, 0, 0, 0, 0, ready, ready, ready)

        figures = figures_of([second(0, 0), second(1, 2), second(4, 0)], load_s=3)
        self.assertEqual((figures.pod_seconds, figures.zero_s), (6, 4))

    def test_a_run_that_does_not_end_at_zero_says_so(self) -> None:
        self.assertEqual(Figures.of([0, 1, 1], [0, 0, 0], load_s=1).zero_s, -1)


if __name__ == "__main__":
    unittest.main()
