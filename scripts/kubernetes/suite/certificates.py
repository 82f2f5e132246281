"""The PKI of one run, by openssl: two authorities and what the programs show each other."""

import subprocess
from pathlib import Path

DAYS = "7"
KUBECONFIG = """apiVersion: v1
kind: Config
clusters: [{{name: local, cluster: {{server: "https://127.0.0.1:{port}", certificate-authority: "{ca}"}}}}]
users: [{{name: user, user: {{client-certificate: "{certificate}", client-key: "{key}"}}}}]
contexts: [{{name: local, context: {{cluster: local, user: user}}}}]
current-context: local
"""


class Certificates:
    """Files in one directory: NAME.crt, NAME.key."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        self._authority("ca")
        self._authority("front-proxy-ca")
        local = "DNS:localhost,IP:127.0.0.1"
        api = f"{local},DNS:kubernetes.default.svc,DNS:kubernetes.default,DNS:kubernetes,IP:10.96.0.1"
        self._issue("apiserver", "/CN=kube-apiserver", "ca", api)
        self._issue("admin", "/O=system:masters/CN=admin", "ca")
        self._issue("controller-manager", "/CN=system:kube-controller-manager", "ca", local)
        self._issue("scheduler", "/CN=system:kube-scheduler", "ca", local)
        self._issue("front-proxy", "/CN=front-proxy", "front-proxy-ca")
        self._openssl("genrsa", "-out", self.path("accounts.key"), "2048")
        self._openssl("rsa", "-in", self.path("accounts.key"), "-pubout", "-out", self.path("accounts.pub"))
        # The operator and the adapter show each other one certificate, found by these names.
        (directory / "keda").mkdir()
        self._issue("keda/tls", "/CN=keda", "ca", f"{local},DNS:keda-metrics-apiserver.keda.svc")
        (directory / "keda/ca.crt").write_bytes((directory / "ca.crt").read_bytes())

    def path(self, name: str) -> Path:
        return self.directory / name

    def kubeconfig(self, user: str, port: int) -> Path:
        """A kubeconfig of one of the issued certificates."""
        file = self.path(f"{user}.kubeconfig")
        certificate, key = self.path(f"{user}.crt"), self.path(f"{user}.key")
        file.write_text(KUBECONFIG.format(port=port, ca=self.path("ca.crt"), certificate=certificate, key=key))
        return file

    def _openssl(self, *arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def _key(self, name: str) -> list[str | Path]:
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path(f"{name}.key")]

    def _authority(self, name: str) -> None:
        self._openssl("req", "-x509", *self._key(name), "-days", DAYS, "-subj", f"/CN=tidegate {name}",
                      "-out", self.path(f"{name}.crt"))

    def _issue(self, name: str, subject: str, authority: str, names: str = "") -> None:
        request, extensions = self.path(f"{name}.csr"), self.path(f"{name}.ext")
        usage = "extendedKeyUsage=serverAuth,clientAuth\nkeyUsage=digitalSignature\n"
        extensions.write_text(usage + (f"subjectAltName={names}\n" if names else ""))
        self._openssl("req", *self._key(name), "-subj", subject, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.path(f"{authority}.crt"),
                      "-CAkey", self.path(f"{authority}.key"), "-CAcreateserial", "-days", DAYS,
                      "-extfile", extensions, "-out", self.path(f"{name}.crt"))
