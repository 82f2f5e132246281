"""Everything that one end-to-end run needs, up and connected, and the chart installed."""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from .api import ApiError
from .objects import Json
from .keda import Keda
from .kubelet import Kubelet
from .load import Load
from .processes import Failed
from .recorder import Creation, Recorder
from .run import CHART, NAMESPACE, RELEASE, ROOT, Run, say
from .servers import Rows, Servers
from .services import Services

CONSUMER, SCALER = f"{RELEASE}-consumer", f"{RELEASE}-scaler"
TOPIC, GROUP, PARTITIONS = "trade-tx", "tx-trade-workers", 24
VALUES = ROOT / "scripts/kubernetes/values"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


class World:
    """A control plane with KEDA, a node, Kafka, PostgreSQL and the chart."""

    def __init__(self, run: Run, tidegate: Path, servers: Path, law: str, target_age_s: float) -> None:
        self.run, self.tidegate, self.law, self.target_age_s = run, tidegate, law, target_age_s
        self.api = run.plane.api
        self.servers = Servers(servers, run.directory, run.processes, TOPIC, PARTITIONS, GROUP)
        say(f"Kafka at {self.servers.bootstrap}, PostgreSQL")
        self.rows = Rows(self.servers.database, run.processes)
        run.plane.install_crds(run.home / "crds")
        self.kubelet = Kubelet(self.api, run.directory / "pods", {"tidegate": tidegate})
        run.before_end(self.kubelet.stop)
        run.processes.wait_until("the node", 60, self._node_is_ready)
        self.services = Services(self.api)
        run.before_end(self.services.stop)
        self.keda = Keda(run.bin, run.plane, run.processes, self.services.url)
        say(f"KEDA and a node; processes: {run.processes}")
        self.creation = Creation(self.api, NAMESPACE)
        self._install()

    def values(self, law: str) -> list[str]:
        """Arguments of helm."""
        return ["--values", str(VALUES / "common.yaml"),
                "--set", f"scaling.law={law}", "--set", f"scaling.slo.targetAgeSeconds={self.target_age_s:g}",
                "--set", f"kafka.brokers={self.servers.bootstrap}",
                "--set", f"kafka.topic={TOPIC}", "--set", f"kafka.group={GROUP}",
                "--set", f"database.url={self.servers.database}"]

    def _install(self) -> None:
        self.api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": RESTRICTED}})
        # The server trusts everybody on this machine; the pods read it all the same.
        self.api.create(f"/api/v1/namespaces/{NAMESPACE}/secrets", {
            "metadata": {"name": "trades-db"}, "stringData": {"password": "none"}})
        self.run.helm("install", RELEASE, str(CHART), "--namespace", NAMESPACE, *self.values(self.law), "--wait", "--timeout", "90s")
        say("chart installed")
        if self.law == "slo":
            self.wait_until("the scaler's pods", 60, lambda: self.deployment(SCALER)["status"].get("readyReplicas") == 2)
        self.wait_until("the ScaledObject", 60, self._is_scaled)
        # A Deployment begins with one pod; KEDA takes it away.
        self.wait_until("no pods without load", 90, lambda: not self.deployment(CONSUMER)["status"].get("replicas"))
        say("at zero")

    def _node_is_ready(self) -> bool:
        nodes = self.api.get("/api/v1/nodes")["items"]
        return bool(nodes) and all(not node["spec"].get("taints") for node in nodes)

    def check(self) -> None:
        """Failed when anything of the suite ended by itself."""
        self.run.processes.check()
        self.kubelet.check()

    def wait_until(self, what: str, seconds: float, ready: Callable[[], bool]) -> None:
        self.run.processes.wait_until(what, seconds, ready)
        self.check()

    def deployment(self, name: str) -> Json:
        return self.api.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}")

    def scale(self, name: str, replicas: int) -> None:
        """`kubectl scale` of a Deployment that nothing else scales."""
        self.api.merge(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}/scale", {"spec": {"replicas": replicas}})

    def scaled_object(self) -> Json:
        return self.api.get(f"/apis/keda.sh/v1alpha1/namespaces/{NAMESPACE}/scaledobjects/{CONSUMER}-scaler")

    def _hpa(self) -> str:
        return f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers/keda-hpa-{CONSUMER}-scaler"

    def delete_hpa(self) -> None:
        """KEDA makes it anew."""
        self.api.request("DELETE", self._hpa())

    def hpa_metrics(self) -> list[str]:
        """Names of what the HPA asks for; none while there is no HPA."""
        try:
            metrics = self.api.get(self._hpa())["spec"]["metrics"]
        except ApiError as error:
            if error.status != 404:
                raise
            return []
        return [m["external"]["metric"]["name"] if "external" in m else m["resource"]["name"] for m in metrics]

    def fallback(self) -> Json:
        """What KEDA says of it: failures in a row by metric, and whether it is active."""
        status = self.scaled_object().get("status", {})
        failures = {name: entry.get("numberOfFailures", 0) for name, entry in status.get("health", {}).items()}
        active = any(c["type"] == "Fallback" and c["status"] == "True" for c in status.get("conditions", []))
        return {"failures": failures, "is_active": active}

    def set_environment(self, name: str, assignment: str) -> None:
        """`kubectl set env` of a Deployment: NAME=VALUE, or NAME- to remove it."""
        done = self.run.plane.kubectl("set", "env", f"deployment/{name}", assignment, "--namespace", NAMESPACE)
        if done.returncode != 0:
            raise Failed(f"kubectl set env {assignment}: {done.stderr.strip()}")

    def _is_scaled(self) -> bool:
        conditions = self.scaled_object().get("status", {}).get("conditions", [])
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        return ready and "HorizontalPodAutoscaler" in self.creation.at

    def start_load(self, profile: Path) -> Load:
        ledger = self.run.directory / "ledger"
        return Load(self.tidegate, self.run.processes, self.servers.bootstrap, TOPIC, profile, ledger)

    def recorder(self, load: Load) -> Recorder:
        return Recorder(self.api, NAMESPACE, CONSUMER, self.keda, load, self.rows)

    def stock_object(self) -> Json:
        """The ScaledObject that the chart renders with the stock law: what the simulator reads."""
        text = self.run.template(*self.values("stock"), "--show-only", "templates/scaledobject.yaml")
        done = self.run.plane.kubectl("create", "--dry-run=client", "--output", "json", "--filename", "-", stdin=text)
        if done.returncode != 0:
            raise Failed(f"the chart's ScaledObject: {done.stderr.strip()}")
        found: Json = json.loads(done.stdout)
        return found

    def audit(self) -> Json:
        """What of the ledger is in the database. Failed when a promise is broken."""
        command: Sequence[str | Path] = [
            self.tidegate, "audit", "--ledger", self.run.directory / "ledger", "--database", self.servers.database,
            "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"tidegate audit: exit code {done.returncode}: {done.stdout.strip()} {done.stderr.strip()}")
        found: Json = json.loads(done.stdout)
        return found

    def stop(self) -> None:
        """Ends the servers gently; the run ends everything else."""
        self.servers.stop()
