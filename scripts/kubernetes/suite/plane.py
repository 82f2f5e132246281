"""etcd and API server, controller manager and scheduler by choice, on free ports of 127.0.0.1."""

import subprocess
from pathlib import Path

from .api import Api
from .certificates import Certificates
from .processes import Failed, Processes, free_port

START_SECONDS = 120.0
# They would refuse pods on loopback addresses, each second anew; see services.
CONTROLLERS = "*,-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller"


class Plane:
    """A running control plane; ends with the processes it was given."""

    def __init__(self, binaries: Path, directory: Path, processes: Processes, controllers: bool) -> None:
        self._bin = binaries
        self._processes = processes
        self.certificates = Certificates(directory / "certificates")
        self.port = free_port()
        self.kubeconfig = self.certificates.kubeconfig("admin", self.port)
        etcd = self._start_etcd(directory / "etcd")
        self._start_api_server(etcd)
        self.api = Api(self.port, self.certificates)
        processes.wait_until("the API server", START_SECONDS, self._answers)
        if controllers:
            self._start_controllers()

    def _answers(self) -> bool:
        try:
            return bool(self.api.get("/readyz")["text"] == "ok")
        except (OSError, Failed):
            return False

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs kubectl as administrator; the caller looks at its exit code."""
        command = [str(self._bin / "kubectl"), "--kubeconfig", str(self.kubeconfig), *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)

    def apply(self, *arguments: str, stdin: str | None = None) -> None:
        """`kubectl apply` that must succeed."""
        done = self.kubectl("apply", *arguments, stdin=stdin)
        if done.returncode != 0:
            raise Failed(f"kubectl apply {' '.join(arguments)}: {done.stderr.strip()}")

    def install_crds(self, directory: Path) -> None:
        """Custom resources from a directory of CRDs, ready for use."""
        self.apply("--server-side", "--filename", str(directory))
        done = self.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
        if done.returncode != 0:
            raise Failed(f"custom resources: {done.stderr.strip()}")

    def _start_etcd(self, data: Path) -> str:
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self._processes.start("etcd", [
            self._bin / "etcd", "--name=local", f"--data-dir={data}", "--unsafe-no-fsync",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=local={peer}", "--log-level=warn",
        ])
        return client

    def _start_api_server(self, etcd: str) -> None:
        path = self.certificates.path
        self._processes.start("kube-apiserver", [
            self._bin / "kube-apiserver", f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1", f"--secure-port={self.port}",
            # No addresses of its own to publish: nobody reaches it by the Service.
            "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=Node,RBAC",
            f"--client-ca-file={path('ca.crt')}",
            f"--tls-cert-file={path('apiserver.crt')}", f"--tls-private-key-file={path('apiserver.key')}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={path('accounts.pub')}",
            f"--service-account-signing-key-file={path('accounts.key')}",
            f"--requestheader-client-ca-file={path('front-proxy-ca.crt')}",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={path('front-proxy.crt')}", f"--proxy-client-key-file={path('front-proxy.key')}",
        ])

    def _start_controllers(self) -> None:
        path = self.certificates.path
        for name, user, more in (
            ("kube-controller-manager", "controller-manager", [
                f"--controllers={CONTROLLERS}", "--use-service-account-credentials=true",
                f"--service-account-private-key-file={path('accounts.key')}", f"--root-ca-file={path('ca.crt')}",
            ]),
            ("kube-scheduler", "scheduler", []),
        ):
            kubeconfig = self.certificates.kubeconfig(user, self.port)
            self._processes.start(name, [
                self._bin / name, f"--kubeconfig={kubeconfig}", f"--authentication-kubeconfig={kubeconfig}",
                f"--authorization-kubeconfig={kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1",
                f"--secure-port={free_port()}", f"--tls-cert-file={path(f'{user}.crt')}",
                f"--tls-private-key-file={path(f'{user}.key')}", *more,
            ])
