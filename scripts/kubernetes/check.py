#!/usr/bin/env python3
"""The chart against a real API server: each render of deploy/helm/sets and deploy/kubernetes.

Usage: make check-kubernetes

- kubeconform, strict, with the schemas of that server and of the custom resources
- `kubectl apply --dry-run=server` in a namespace that enforces, warns of and audits the
  pod security standard *restricted*; any warning fails
- each Deployment's pod, admitted there; and a pod that breaks the standard, refused
- what the scaler's Role allows and what not

No controllers, no kubelet, no KEDA: about half a minute once etcd, API server and kubectl
are built.
"""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

from suite import schemas
from suite.api import ApiError
from suite.objects import Json
from suite.processes import Failed
from suite.run import NAMESPACE, RELEASE, ROOT, Run, main, say

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
PRIORITIES = "/apis/scheduling.k8s.io/v1/priorityclasses"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All"
# What a pod of the scaler does, and what it must not be able to do.
HPAS = "horizontalpodautoscalers.autoscaling"
SCALER_MAY = [("list", "pods", True), ("watch", "pods", True), ("delete", "pods", False),
              ("get", "secrets", False), ("list", "deployments.apps", False),
              ("list", HPAS, True), ("patch", f"{HPAS}/keda-hpa-{RELEASE}-consumer-scaler", True),
              ("patch", f"{HPAS}/keda-hpa-of-others", False), ("delete", f"{HPAS}/keda-hpa-{RELEASE}-consumer-scaler", False)]


def check() -> None:
    with Run(controllers=False) as run:
        run.plane.install_crds(run.home / "crds")
        run.processes.wait_until("the documents of the custom resources", 60, lambda: publishes(run, CRDS))
        directory = run.directory / "schemas"
        say(f"schemas of {schemas.write(schemas.of_server(run.plane.api.get), directory)} kinds")
        run.plane.api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": RESTRICTED}})
        refuses(run, directory)
        for values in sorted((ROOT / "deploy/helm/sets").glob("*.yaml")):
            check_render(run, directory, values.stem, run.template("--values", str(values)))
        check_render(run, directory, "deploy/kubernetes", (ROOT / "deploy/kubernetes/tidegate.yaml").read_text())
        check_role(run)
    say("all checks passed")


def publishes(run: Run, definitions: str) -> bool:
    """Whether the server's documents have every custom resource: they follow a while after
    these are Established."""
    published = schemas.kinds(schemas.of_server(run.plane.api.get))
    specs = [definition["spec"] for definition in run.plane.api.get(definitions)["items"]]
    return all((spec["group"], version["name"], spec["names"]["kind"]) in published
               for spec in specs for version in spec["versions"])


def check_render(run: Run, directory: Path, name: str, text: str) -> None:
    if problem := conforms(directory, text):
        raise Failed(f"{name}: kubeconform: {problem}")
    # Admission looks for a pod's service account.
    accounts = [o for o in objects(run, text) if o["kind"] == "ServiceAccount"]
    for account in accounts:
        run.plane.apply("--filename", "-", stdin=json.dumps(account))
    applied = run.plane.kubectl("apply", "--dry-run=server", "--namespace", NAMESPACE, "--filename", "-", stdin=text)
    if applied.returncode != 0 or "Warning:" in applied.stderr:
        raise Failed(f"{name}: kubectl apply --dry-run=server: {applied.stderr.strip()}")
    deployments = [o for o in objects(run, text) if o["kind"] == "Deployment"]
    for deployment in deployments:
        admit(run, deployment["metadata"]["name"], deployment["spec"]["template"])
    say(f"{name}: {len(applied.stdout.splitlines())} objects conform and apply, "
        f"pods of {len(deployments)} deployments are admitted")


def admit(run: Run, name: str, template: Json) -> None:
    """Creates the pod that the Deployment would, without keeping it."""
    priority = template["spec"].get("priorityClassName")
    if priority and priority not in [entry["metadata"]["name"] for entry in run.plane.api.get(PRIORITIES)["items"]]:
        run.plane.api.create(PRIORITIES, {"metadata": {"name": priority}, "value": 1000})
    metadata = {**template["metadata"], "name": f"{name}-check"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}

    def admitted() -> bool:
        try:
            run.plane.api.create(PODS, pod)
        except ApiError as error:
            # Admission learns of a new class a moment later.
            if f"no PriorityClass with name {priority}" in str(error):
                return False
            raise
        return True

    run.processes.wait_until(f"pod {name}", 30, admitted)


def refuses(run: Run, directory: Path) -> None:
    """That the checks can fail: a misspelt field, and a pod that runs as root."""
    text = json.dumps({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x"},
                       "spec": {"scaleTargetRef": {"name": "x"}, "triggers": [], "poolingInterval": 5}})
    if not conforms(directory, text):
        raise Failed("kubeconform passes a misspelt field")
    run.plane.api.create(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": "check"}})
    spec = {"serviceAccountName": "check", "containers": [{"name": "root", "image": "root"}]}
    try:
        admit(run, "root", {"metadata": {}, "spec": spec})
    except ApiError as error:
        if error.status == 403 and "restricted" in str(error):
            return
        raise
    raise Failed("a pod that breaks the restricted standard is admitted")


def check_role(run: Run) -> None:
    """The Role of a scaler that fences pods, as the server evaluates it."""
    text = run.template("--values", str(ROOT / "deploy/helm/sets/slo.yaml"))
    for entry in objects(run, text):
        if entry["kind"] in ("Role", "RoleBinding"):
            run.plane.apply("--filename", "-", stdin=json.dumps(entry))
    account = f"system:serviceaccount:{NAMESPACE}:{RELEASE}-scaler"
    for verb, resource, expected in SCALER_MAY:
        answer = run.plane.kubectl("auth", "can-i", verb, resource, "--as", account, "--namespace", NAMESPACE)
        if (answer.stdout.strip() == "yes") != expected:
            raise Failed(f"the scaler's account: can-i {verb} {resource} is {answer.stdout.strip()}")
    say(f"the scaler's Role allows and refuses {len(SCALER_MAY)} things as it should")


def objects(run: Run, text: str) -> Iterable[Json]:
    """The manifests of a render."""
    done = run.plane.kubectl("create", "--dry-run=client", "--output", "json", "--namespace", NAMESPACE,
                             "--filename", "-", stdin=text)
    if done.returncode != 0:
        raise Failed(f"kubectl create --dry-run=client: {done.stderr.strip()}")
    decoder, position = json.JSONDecoder(), 0
    found: list[Json] = []
    while position < len(done.stdout.rstrip()):
        document, position = decoder.raw_decode(done.stdout, position)
        found += document["items"] if document["kind"] == "List" else [document]
        while position < len(done.stdout) and done.stdout[position].isspace():
            position += 1
    return found


def conforms(directory: Path, text: str) -> str:
    """What kubeconform has against it; empty when nothing."""
    location = f"{directory}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    done = subprocess.run(["kubeconform", "-strict", "-schema-location", location],
                          input=text, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()


if __name__ == "__main__":
    main(check)
