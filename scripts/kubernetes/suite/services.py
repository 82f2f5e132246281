"""What DNS and kube-proxy do for KEDA: the name of a Service leads to one of its ready pods.

An HTTP proxy that only knows CONNECT. gRPC's client hands a proxy the unresolved name,
so KEDA calls the external scaler by the very address that the chart gives it.
"""

import random
import socket
import socketserver
import threading
from io import BufferedIOBase

from .api import Api
from .objects import Json
from .processes import Failed

CONNECT_SECONDS = 5.0


class Services:
    """The proxy, on a free port, for as long as the process lives."""

    def __init__(self, api: Api) -> None:
        self._api = api
        # Where the last connection was led to; empty before the first.
        self.last_pod = ""
        services = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                services.serve(self.connection, self.rfile)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve(self, client: socket.socket, lines: BufferedIOBase) -> None:
        """One tunnel."""
        request = lines.readline().decode(errors="replace").split()
        while lines.readline().strip():
            pass
        try:
            if len(request) < 2 or request[0] != "CONNECT":
                raise Failed("only CONNECT is served")
            server = socket.create_connection(self.resolve(request[1]), CONNECT_SECONDS)
        except (Failed, OSError) as error:
            reason = str(error).replace("\n", " ")
            client.sendall(f"HTTP/1.1 502 {reason}\r\n\r\n".encode())
            return
        server.settimeout(None)
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        back = threading.Thread(target=pump, args=(server, client), daemon=True)
        back.start()
        pump(client, server)
        back.join()

    def resolve(self, target: str) -> tuple[str, int]:
        """`NAME.NAMESPACE.svc...:PORT` to address and port of a ready pod."""
        host, _, port = target.rpartition(":")
        parts = host.split(".")
        if len(parts) < 3 or parts[2] != "svc":
            raise Failed(f"{target}: not the name of a Service")
        namespace = f"/api/v1/namespaces/{parts[1]}"
        service = self._api.get(f"{namespace}/services/{parts[0]}")["spec"]
        selector = ",".join(f"{key}={value}" for key, value in service["selector"].items())
        pods = [pod for pod in self._api.get(f"{namespace}/pods?labelSelector={selector}")["items"] if is_ready(pod)]
        if not pods:
            raise Failed(f"{target}: no ready pod")
        pod = random.choice(pods)
        self.last_pod = pod["metadata"]["name"]
        for entry in service["ports"]:
            if str(entry["port"]) == port:
                return pod["status"]["podIP"], container_port(pod, entry.get("targetPort", entry["port"]))
        raise Failed(f"{target}: the Service has no port {port}")


def is_ready(pod: Json) -> bool:
    """Whether a Service would send to it."""
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def container_port(pod: Json, target: str | int) -> int:
    """A Service's target port as a number."""
    if isinstance(target, int):
        return target
    for port in pod["spec"]["containers"][0].get("ports", []):
        if port.get("name") == target:
            return int(port["containerPort"])
    raise Failed(f"pod {pod['metadata']['name']} has no port {target}")


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Bytes one way until the end, which is passed on."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
