"""kubeconform's schemas, from OpenAPI documents and custom resource definitions.

The documents are those of a running API server, or those that Kubernetes keeps in its
source. One file a kind, `KIND-GROUP-VERSION.json`, custom resources included. Objects with
listed properties take no others, so that a misspelt field is found.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .objects import Json

KINDS = "x-kubernetes-group-version-kind"
ANY = "x-kubernetes-preserve-unknown-fields"


def of_server(get: Callable[[str], Json]) -> Iterator[Json]:
    """The schemas of a running API server by name, custom resources included. `get` asks it."""
    for path in get("/openapi/v3")["paths"].values():
        yield get(path["serverRelativeURL"]).get("components", {}).get("schemas", {})


def of_definition(definition: Json) -> Json:
    """A CustomResourceDefinition's schemas by name."""
    spec = definition["spec"]
    kind, schemas = spec["names"]["kind"], {}
    for version in spec["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        known = {"group": spec["group"], "version": version["name"], "kind": kind}
        schemas[f"{version['name']}.{kind}"] = {**schema, KINDS: [known]}
    return schemas


def kinds(documents: Iterable[Json]) -> set[tuple[str, str, str]]:
    """Group, version and kind of everything that has a schema."""
    found = [kind for schemas in documents for schema in schemas.values() for kind in schema.get(KINDS, [])]
    return {(kind["group"], kind["version"], kind["kind"]) for kind in found}


def write(documents: Iterable[Json], directory: Path) -> int:
    """Writes the schemas; the number of kinds."""
    directory.mkdir(parents=True, exist_ok=True)
    written: set[str] = set()
    for schemas in documents:
        definitions = {name: strict(schema) for name, schema in schemas.items()}
        for name, schema in schemas.items():
            for kind in schema.get(KINDS, []):
                group = kind["group"].split(".")[0]
                parts = [kind["kind"], *([group] if group else []), kind["version"]]
                file = "-".join(parts).lower() + ".json"
                document = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": definitions}}
                (directory / file).write_text(json.dumps(document))
                written.add(file)
    return len(written)


def strict(schema: Json) -> Json:
    """The schema without what JSON Schema does not know, and closed to unknown fields."""
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return strict(schema["allOf"][0])
    closed = {key: value for key, value in schema.items()
              if not key.startswith("x-kubernetes") and key not in ("default", "description", "format", "nullable")}
    if schema.get("x-kubernetes-int-or-string"):
        closed = {"type": ["integer", "string"]}
    if "properties" in schema:
        closed["properties"] = {name: strict(field) for name, field in schema["properties"].items()}
        if not schema.get(ANY):
            closed.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            closed[key] = strict(schema[key])
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            closed[key] = [strict(option) for option in schema[key]]
    return closed
