"""What happened, once a second: replicas as the API server has them, records, KEDA's metric."""

import csv
import threading
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .api import Api
from .keda import Keda
from .load import Load
from .processes import Failed
from .servers import Rows


@dataclass(frozen=True)
class Second:
    """One second; `wanted` is the Deployment's spec, `pods` and `ready` its status."""

    t_s: int
    sent: int
    stored: int
    lag: int
    keda_metric: int
    hpa_desired: int
    wanted: int
    pods: int
    ready: int


class Recorder:
    """The series of one run."""

    def __init__(self, api: Api, namespace: str, deployment: str, keda: Keda, load: Load, rows: Rows) -> None:
        self._api = api
        self._deployment = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
        self._hpas = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
        self._keda, self._load, self._rows = keda, load, rows
        self.series: list[Second] = []

    def tick(self) -> Second:
        """Waits for the next whole second of the load, and records it."""
        t_s = self.series[-1].t_s + 1 if self.series else 0
        # Late by a second or more: the seconds between are not invented.
        t_s = max(t_s, int(time.time() - self._load.began))
        time.sleep(max(0.0, self._load.began + t_s - time.time()))
        self.series.append(self._look(t_s))
        return self.series[-1]

    def _look(self, t_s: int) -> Second:
        stored = self._rows.stored()
        deployment = self._api.get(self._deployment)
        status = deployment["status"]
        hpas = self._api.get(self._hpas)["items"]
        sent = max(self._load.acknowledged, stored)
        return Second(
            t_s=t_s, sent=sent, stored=stored, lag=sent - stored,
            keda_metric=int(self._keda.metric() or 0),
            hpa_desired=hpas[0]["status"].get("desiredReplicas", 0) if hpas else 0,
            wanted=deployment["spec"]["replicas"], pods=status.get("replicas", 0), ready=status.get("readyReplicas", 0),
        )

    def write(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            rows = csv.DictWriter(file, [field.name for field in fields(Second)], lineterminator="\n")
            rows.writeheader()
            rows.writerows(asdict(second) for second in self.series)


class Creation:
    """When the ScaledObject and its HPA appeared, Unix seconds: from then on they are looked at
    every so many seconds."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.at: dict[str, float] = {}
        for name, path in (("ScaledObject", f"/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects"),
                           ("HorizontalPodAutoscaler",
                            f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers")):
            threading.Thread(target=self._watch, args=(api, name, path), daemon=True).start()

    def _watch(self, api: Api, name: str, path: str) -> None:
        for kind, _ in api.watch(path):
            if kind == "ADDED":
                self.at.setdefault(name, time.time())
                return

    def phase(self, name: str, period_s: float, began: float) -> float:
        """Seconds from the load's begin to the next look."""
        if name not in self.at:
            raise Failed(f"no {name} appeared")
        return (self.at[name] - began) % period_s
