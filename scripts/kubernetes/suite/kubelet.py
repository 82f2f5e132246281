"""A node whose pods are processes of this machine.

A pod starts when the scheduler has put it here, is Ready when its readiness probe says
so (startup probe first), is told by SIGTERM to go and killed after its grace period,
and is started again when it ends by itself. Not done: liveness, images, cgroups,
security contexts, more than one container.

Threads: one watches pods, one renews the node's lease, each pod has one.
"""

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from .api import Api, ApiError
from .objects import Json
from .pod import Sandbox
from .processes import Failed

NODE = "node-1"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LEASE_SECONDS = 10.0
RESTART_SECONDS = 2.0


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def lease_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Kubelet:
    """The node. `images` names the program of an image's repository."""

    def __init__(self, api: Api, directory: Path, images: Mapping[str, Path]) -> None:
        self.api = api
        self.images = images
        self.directory = directory
        directory.mkdir()
        self._pods: dict[str, PodWorker] = {}
        self._addresses = 1
        # Another suite on this machine has other ones, and the same container ports.
        self._network = f"127.{64 + os.getpid() % 128}"
        self._events = (directory / "events.jsonl").open("a")
        self._lock = threading.Lock()
        self.error: BaseException | None = None
        self._register()
        for work in (self._renew_lease, self._watch):
            threading.Thread(target=self._guarded, args=(work,), daemon=True).start()

    def event(self, pod: str, what: str, **more: object) -> None:
        """One line for the record."""
        with self._lock:
            line = {"t_s": round(time.time(), 3), "pod": pod, "event": what, **more}
            self._events.write(json.dumps(line) + "\n")
            self._events.flush()

    def events(self) -> list[Json]:
        return [json.loads(line) for line in (self.directory / "events.jsonl").read_text().splitlines()]

    def check(self) -> None:
        """Failed when the kubelet itself does not work any more."""
        if self.error is not None:
            raise Failed(f"kubelet: {self.error}")

    def kill(self, name: str) -> None:
        """Ends a pod's process at once; it is started again, as after a crash."""
        with self._lock:
            worker = next(worker for worker in self._pods.values() if worker.name == name)
        self.event(name, "killed by the suite")
        worker.kill()

    def stop(self) -> None:
        """Ends every pod's process, gently; the pods' objects are left as they are."""
        with self._lock:
            workers = list(self._pods.values())
        for worker in workers:
            worker.terminate(10.0, delete=False)
        for worker in workers:
            worker.join(15.0)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        # A thread's error is its last word: `check` says it.
        except Exception as error:
            self.error = error

    def _register(self) -> None:
        self.api.create("/api/v1/nodes", {"metadata": {"name": NODE, "labels": {
            "kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/zone": "zone-1",
        }}})
        room = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "256Gi", "pods": "250"}
        conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "",
                       "lastHeartbeatTime": now(), "lastTransitionTime": now()}]
        conditions += [{"type": kind, "status": "False", "reason": "KubeletHasEnough", "message": "",
                        "lastHeartbeatTime": now(), "lastTransitionTime": now()}
                       for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")]
        self.api.merge(f"/api/v1/nodes/{NODE}/status", {"status": {
            "capacity": room, "allocatable": room, "conditions": conditions,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NODE}],
        }})
        self.api.create(LEASES, {"metadata": {"name": NODE}, "spec": {
            "holderIdentity": NODE, "leaseDurationSeconds": 40, "renewTime": lease_time()}})

    def _renew_lease(self) -> None:
        while True:
            time.sleep(LEASE_SECONDS)
            self.api.merge(f"{LEASES}/{NODE}", {"spec": {"renewTime": lease_time()}})

    def _watch(self) -> None:
        for kind, pod in self.api.watch("/api/v1/pods", f"fieldSelector=spec.nodeName={NODE}"):
            uid = pod["metadata"]["uid"]
            with self._lock:
                worker = self._pods.get(uid)
            if kind == "DELETED":
                if worker:
                    worker.terminate(0.0, delete=False)
                continue
            if worker is None:
                self._addresses += 1
                address = f"{self._network}.{self._addresses // 250}.{self._addresses % 250 + 1}"
                worker = PodWorker(self, pod, address)
                with self._lock:
                    self._pods[uid] = worker
                worker.start()
            if pod["metadata"].get("deletionTimestamp"):
                worker.terminate(float(pod["metadata"].get("deletionGracePeriodSeconds", 30)), delete=True)
        raise Failed("the watch of pods ended")


class PodWorker(threading.Thread):
    """One pod's life."""

    def __init__(self, kubelet: Kubelet, pod: Json, address: str) -> None:
        super().__init__(daemon=True, name=pod["metadata"]["name"])
        self._kubelet = kubelet
        self._pod = pod
        self._address = address
        self._path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{self.name}"
        self._started_at = now()
        self._restarts = 0
        self._ready: bool | None = None
        self._going = threading.Event()
        self._grace_s = 30.0
        self._deletes = False
        self._process: subprocess.Popen[str] | None = None

    def terminate(self, grace_s: float, delete: bool) -> None:
        """Asks it to go; the worker's thread does the rest."""
        self._grace_s, self._deletes = grace_s, delete
        self._going.set()

    def kill(self) -> None:
        """SIGKILL to the process, if it runs."""
        if self._process is not None:
            self._process.kill()

    def run(self) -> None:
        try:
            directory = self._kubelet.directory / self.name
            directory.mkdir()
            sandbox = Sandbox(self._kubelet.api, self._pod, self._address, directory, self._kubelet.images)
            while not self._going.is_set():
                self._run_once(sandbox)
            if self._deletes:
                self._remove()
        except Exception as error:
            self._kubelet.event(self.name, "failed", error=str(error))
            self._kubelet.error = error

    def _run_once(self, sandbox: Sandbox) -> None:
        process = self._process = sandbox.start()
        self._started_at = now()
        self._kubelet.event(self.name, "started", pid=process.pid)
        self._report(False, {"running": {"startedAt": self._started_at}})
        probes = [sandbox.container.get(name) for name in ("startupProbe", "readinessProbe")]
        is_up = probes[0] is None
        while process.poll() is None and not self._going.is_set():
            probe = probes[1] if is_up else probes[0]
            passed = probe is None or answers(sandbox, probe)
            if is_up and passed != self._ready:
                self._report(passed, {"running": {"startedAt": self._started_at}})
            is_next = passed and not is_up
            is_up = is_up or passed
            if not is_next:
                wait(process, self._going, float(probe.get("periodSeconds", 10)) if probe else 1.0)
        self._end(process)

    def _end(self, process: "subprocess.Popen[str]") -> None:
        if not self._going.is_set():
            self._restarts += 1
            self._kubelet.event(self.name, "ended by itself", code=process.returncode)
            self._report(False, {"waiting": {"reason": "CrashLoopBackOff"}})
            self._going.wait(RESTART_SECONDS)
            return
        asked = time.monotonic()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(self._grace_s)
            except subprocess.TimeoutExpired:
                process.kill()
        code = process.wait()
        took = round(time.monotonic() - asked, 3)
        self._kubelet.event(self.name, "stopped", code=code, seconds=took, grace_seconds=self._grace_s)

    def _report(self, ready: bool, state: Json) -> None:
        if ready != self._ready:
            self._kubelet.event(self.name, "ready" if ready else "not ready")
        self._ready = ready
        flag = "True" if ready else "False"
        conditions = [{"type": kind, "status": value, "lastTransitionTime": now()} for kind, value in (
            ("PodScheduled", "True"), ("Initialized", "True"), ("ContainersReady", flag), ("Ready", flag))]
        container = self._pod["spec"]["containers"][0]
        status = {"name": container["name"], "image": container["image"], "imageID": "", "ready": ready,
                  "started": ready, "restartCount": self._restarts, "state": state}
        body = {"status": {
            "phase": "Running", "conditions": conditions, "containerStatuses": [status],
            "hostIP": "127.0.0.1", "podIP": self._address, "podIPs": [{"ip": self._address}],
            "startTime": self._started_at,
        }}
        try:
            self._kubelet.api.merge(f"{self._path}/status", body)
        except ApiError as error:
            if error.status != 404:
                raise

    def _remove(self) -> None:
        uid = self._pod["metadata"]["uid"]
        try:
            self._kubelet.api.request("DELETE", self._path, {
                "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "preconditions": {"uid": uid}})
        except ApiError as error:
            if error.status not in (404, 409):
                raise


def wait(process: "subprocess.Popen[str]", going: threading.Event, seconds: float) -> None:
    """Until the next probe, an order to go or the process' end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if going.wait(0.1):
            return


def answers(sandbox: Sandbox, probe: Json) -> bool:
    """One HTTP probe."""
    get = probe["httpGet"]
    timeout = float(probe.get("timeoutSeconds", 1))
    connection = http.client.HTTPConnection(sandbox.address, sandbox.port(get["port"]), timeout=timeout)
    try:
        connection.request("GET", get["path"])
        return 200 <= connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
