"""The API server by HTTP: requests and watches, with a client certificate."""

import http.client
import json
import ssl
import threading
from collections.abc import Iterator

from .certificates import Certificates
from .objects import Json
from .processes import Failed

MERGE = "application/merge-patch+json"
ANSWER_SECONDS = 30.0


class ApiError(Failed):
    """The server's refusal."""

    def __init__(self, method: str, path: str, status: int, text: str) -> None:
        super().__init__(f"{method} {path}: {status} {text}")
        self.status = status


class Api:
    """May be used by several threads: each has a connection of its own."""

    def __init__(self, port: int, certificates: Certificates) -> None:
        self.port = port
        self._tls = ssl.create_default_context(cafile=str(certificates.path("ca.crt")))
        self._tls.load_cert_chain(str(certificates.path("admin.crt")), str(certificates.path("admin.key")))
        self._local = threading.local()

    def _connection(self, timeout: float | None) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self._tls)

    def request(self, method: str, path: str, body: Json | None = None, kind: str = "application/json") -> Json:
        """The answer as JSON. ApiError when the server refuses."""
        for attempt in (1, 2):
            connection = getattr(self._local, "connection", None) or self._connection(ANSWER_SECONDS)
            self._local.connection = connection
            try:
                text = None if body is None else json.dumps(body)
                connection.request(method, path, text, {"Content-Type": kind, "Accept": "application/json"})
                answer = connection.getresponse()
                data = answer.read().decode()
                break
            except (http.client.HTTPException, ConnectionError, ssl.SSLError):
                # A kept connection that the server has closed meanwhile.
                connection.close()
                self._local.connection = None
                if attempt == 2:
                    raise
        if answer.status >= 400:
            try:
                data = json.loads(data).get("message", data)
            except ValueError:
                pass
            raise ApiError(method, path, answer.status, data.strip())
        try:
            found: Json = json.loads(data)
        except ValueError:
            return {"text": data}
        return found

    def get(self, path: str) -> Json:
        return self.request("GET", path)

    def create(self, path: str, body: Json) -> Json:
        return self.request("POST", path, body)

    def merge(self, path: str, body: Json) -> Json:
        return self.request("PATCH", path, body, MERGE)

    def watch(self, path: str, selector: str = "") -> Iterator[tuple[str, Json]]:
        """What is there as ADDED, then each change, until the server closes."""
        suffix = f"?{selector}&" if selector else "?"
        listed = self.get(f"{path}{suffix}")
        for item in listed["items"]:
            yield "ADDED", item
        version = listed["metadata"]["resourceVersion"]
        connection = self._connection(None)
        connection.request("GET", f"{path}{suffix}watch=1&resourceVersion={version}&timeoutSeconds=7200")
        stream = connection.getresponse()
        try:
            while line := stream.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise Failed(f"watch {path}: {event['object'].get('message')}")
                yield event["type"], event["object"]
        finally:
            connection.close()
