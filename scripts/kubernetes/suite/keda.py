"""KEDA's operator and metrics adapter beside the control plane.

The adapter's APIService leads to a Service of type ExternalName: the API server then
connects to localhost, without endpoints or kube-proxy. The operator calls an external
scaler by the name of its Service: it is given `services` as its proxy.
"""

import base64
import urllib.request
from pathlib import Path

from .api import Api
from .plane import Plane
from .processes import Processes, free_port

NAMESPACE = "keda"
APISERVICE = "/apis/apiregistration.k8s.io/v1/apiservices"
START_SECONDS = 120.0


class Keda:
    """A running KEDA."""

    def __init__(self, binaries: Path, plane: Plane, processes: Processes, proxy: str) -> None:
        self._metrics_port = free_port()
        grpc, adapter = free_port(), free_port()
        register(plane, adapter)
        self._start(binaries, plane, processes, proxy, grpc, adapter)
        processes.wait_until("KEDA's metrics adapter", START_SECONDS, lambda: _is_available(plane.api))

    def _start(
        self, binaries: Path, plane: Plane, processes: Processes, proxy: str, grpc: int, adapter: int
    ) -> None:
        certificates = plane.certificates.path("keda")
        environment = {
            "POD_NAMESPACE": NAMESPACE, "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE, "WATCH_NAMESPACE": "",
            "OPERATOR_NAME": "keda-operator", "HTTPS_PROXY": proxy, "NO_PROXY": "127.0.0.1,localhost",
        }
        processes.start("keda-operator", [
            binaries / "keda-operator", f"--kubeconfig={plane.kubeconfig}",
            f"--metrics-bind-address=127.0.0.1:{self._metrics_port}",
            f"--health-probe-bind-address=127.0.0.1:{free_port()}",
            f"--metrics-service-bind-address=127.0.0.1:{grpc}", f"--cert-dir={certificates}",
            "--zap-log-level=1", "--zap-encoder=console", "--zap-time-encoding=rfc3339nano",
        ], environment)
        processes.start("keda-adapter", [
            binaries / "keda-adapter", f"--kubeconfig={plane.kubeconfig}", f"--lister-kubeconfig={plane.kubeconfig}",
            f"--authentication-kubeconfig={plane.kubeconfig}", f"--authorization-kubeconfig={plane.kubeconfig}",
            "--bind-address=127.0.0.1", f"--secure-port={adapter}", f"--port={free_port()}",
            f"--metrics-service-address=localhost:{grpc}", f"--client-ca-file={plane.certificates.path('ca.crt')}",
            f"--tls-cert-file={certificates / 'tls.crt'}", f"--tls-private-key-file={certificates / 'tls.key'}",
            f"--cert-dir={certificates}",
        ], environment)

    def metric(self) -> float | None:
        """What the trigger last answered, as the operator exports it."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            return None
        for line in text.splitlines():
            if line.startswith("keda_scaler_metrics_value{"):
                return float(line.rsplit(" ", 1)[1])
        return None


def register(plane: Plane, adapter_port: int) -> None:
    """Tells the API server who serves external metrics."""
    api = plane.api
    api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    api.create(f"/api/v1/namespaces/{NAMESPACE}/services", {
        "metadata": {"name": "keda-metrics-apiserver"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"name": "https", "port": 443}]},
    })
    authority = base64.b64encode(plane.certificates.path("ca.crt").read_bytes()).decode()
    api.create(APISERVICE, {
        "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
        "spec": {
            "group": "external.metrics.k8s.io", "version": "v1beta1",
            "groupPriorityMinimum": 100, "versionPriority": 100, "caBundle": authority,
            "service": {"name": "keda-metrics-apiserver", "namespace": NAMESPACE, "port": adapter_port},
        },
    })


def _is_available(api: Api) -> bool:
    status = api.get(f"{APISERVICE}/v1beta1.external.metrics.k8s.io").get("status", {})
    return any(c["type"] == "Available" and c["status"] == "True" for c in status.get("conditions", []))
