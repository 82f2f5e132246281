"""One pod as a process: what of its spec becomes a command, and its life.

There is no container: a volume is a directory, and where an argument or a variable
names a path under a mount, it is rewritten to that directory. The pod's address is an
own one of 127.0.0.0/8. Environment: the spec's, and where a service account is mounted
the API server's address and, its path being fixed otherwise, the directory.
"""

import base64
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .api import Api
from .objects import Json
from .processes import Failed, spawn


ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 7200


class Sandbox:
    """A pod's directories, environment and command."""

    def __init__(self, api: Api, pod: Json, address: str, directory: Path, images: Mapping[str, Path]) -> None:
        self._api = api
        self._pod = pod
        self.address = address
        self._directory = directory
        self.container: Json = pod["spec"]["containers"][0]
        if len(pod["spec"]["containers"]) != 1:
            raise Failed(f"pod {pod['metadata']['name']}: only one container is known here")
        image = re.split("[:@]", self.container["image"], maxsplit=1)[0]
        if image not in images:
            raise Failed(f"image {self.container['image']}: known are {', '.join(images)}")
        self._program = images[image]
        self._mounts = self._make_volumes()
        self.environment = self._resolve_environment()

    def start(self) -> "subprocess.Popen[str]":
        """The container's process."""
        command: list[str | Path] = [self._program, *(self._inside(text) for text in self.container.get("args", []))]
        data = self._mounts.get("/data", self._directory)
        return spawn(command, self._directory / "log", self.environment, cwd=data)

    def port(self, name: str | int) -> int:
        """A container port by name or number."""
        if isinstance(name, int):
            return name
        for port in self.container.get("ports", []):
            if port.get("name") == name:
                return int(port["containerPort"])
        raise Failed(f"container {self.container['name']} has no port {name}")

    def _inside(self, text: str) -> str:
        """A value as the process must see it: own address, own directories."""
        text = text.replace("0.0.0.0:", f"{self.address}:")
        for mount in sorted(self._mounts, key=len, reverse=True):
            directory = str(self._mounts[mount])
            text = re.sub(rf"(?<![^:=]){re.escape(mount)}(?=/|$)", directory.replace("\\", r"\\"), text)
        return text

    def _object(self, kind: str, name: str) -> Json:
        return self._api.get(f"/api/v1/namespaces/{self._pod['metadata']['namespace']}/{kind}/{name}")

    def _resolve_environment(self) -> dict[str, str]:
        resolved = {}
        for variable in self.container.get("env", []):
            value = variable.get("value")
            if value is None:
                value = self._value_from(variable["valueFrom"])
            resolved[variable["name"]] = self._inside(value)
        if ACCOUNT in self._mounts:
            resolved["TIDEGATE_KUBERNETES_ACCOUNT"] = str(self._mounts[ACCOUNT])
            resolved["KUBERNETES_SERVICE_HOST"], resolved["KUBERNETES_SERVICE_PORT"] = "127.0.0.1", str(self._api.port)
        return resolved

    def _value_from(self, source: Json) -> str:
        if "fieldRef" in source:
            field = source["fieldRef"]["fieldPath"]
            fields = {
                "metadata.name": self._pod["metadata"]["name"],
                "metadata.namespace": self._pod["metadata"]["namespace"],
                "status.podIP": self.address,
            }
            if field not in fields:
                raise Failed(f"fieldRef {field}: known are {', '.join(fields)}")
            return str(fields[field])
        if "secretKeyRef" in source:
            reference = source["secretKeyRef"]
            return base64.b64decode(self._object("secrets", reference["name"])["data"][reference["key"]]).decode()
        raise Failed(f"valueFrom {', '.join(source)}: known are fieldRef, secretKeyRef")

    def _make_volumes(self) -> dict[str, Path]:
        """Directories of the volumes, by where they are mounted."""
        volumes = {volume["name"]: volume for volume in self._pod["spec"].get("volumes", [])}
        mounts = {}
        for mount in self.container.get("volumeMounts", []):
            directory = self._directory / "volumes" / mount["name"]
            directory.mkdir(parents=True)
            for name, data in self._files(volumes[mount["name"]]).items():
                (directory / name).write_bytes(data)
            mounts[mount["mountPath"]] = directory
        return mounts

    def _files(self, volume: Json) -> dict[str, bytes]:
        if "emptyDir" in volume:
            return {}
        if "configMap" in volume:
            data = self._object("configmaps", volume["configMap"]["name"])["data"]
            return {key: text.encode() for key, text in data.items()}
        if "secret" in volume:
            data = self._object("secrets", volume["secret"]["secretName"])["data"]
            items = volume["secret"].get("items") or [{"key": key, "path": key} for key in data]
            return {item["path"]: base64.b64decode(data[item["key"]]) for item in items}
        if "projected" in volume:
            files = [self._projected(source) for source in volume["projected"]["sources"]]
            return {name: data for of in files for name, data in of.items()}
        raise Failed(f"volume {volume['name']}: known are emptyDir, configMap, secret, projected")

    def _projected(self, source: Json) -> dict[str, bytes]:
        """The sources of a service account's volume."""
        metadata = self._pod["metadata"]
        if "serviceAccountToken" in source:
            reference = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
            account = f"serviceaccounts/{self._pod['spec']['serviceAccountName']}/token"
            answer = self._api.create(f"/api/v1/namespaces/{metadata['namespace']}/{account}", {
                "spec": {"expirationSeconds": TOKEN_SECONDS, "boundObjectRef": reference}})
            return {source["serviceAccountToken"]["path"]: answer["status"]["token"].encode()}
        if "configMap" in source:
            data = self._object("configmaps", source["configMap"]["name"])["data"]
            return {item["path"]: data[item["key"]].encode() for item in source["configMap"]["items"]}
        if "downwardAPI" in source:
            return {item["path"]: self._value_from(item).encode() for item in source["downwardAPI"]["items"]}
        raise Failed(f"projected volume of {', '.join(source)}: known are serviceAccountToken, configMap, downwardAPI")
