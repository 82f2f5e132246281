#!/usr/bin/env python3
"""Judges the IAM policies of deploy/terraform/modules/access against its table.

Usage: scripts/terraform/policies.py PLAN.json TABLE.tsv
PLAN.json is `terraform show -json` of a plan of modules/access/tests/render. Each policy
is read by parliament (misspelt actions, resources of the wrong kind) and asked by moto's
evaluation of IAM: each row of the table, then every action of Kafka, MSK and database
logins on each resource below, of which only the allow rows may be let through.
"""
import csv
import json
import re
import sys

import parliament
from moto.iam.access_control import IAMPolicy, PermissionResult

KAFKA = "arn:aws:kafka:eu-west-1:123456789012"
UUID = "99999999-8888-7777-6666-555555555555-1"
USERS = "arn:aws:rds-db:eu-west-1:123456789012:dbuser"
RESOURCES = {
    "cluster": f"{KAFKA}:cluster/trade-tx/{UUID}",
    "topic": f"{KAFKA}:topic/trade-tx/{UUID}/trade-tx",
    "group": f"{KAFKA}:group/trade-tx/{UUID}/tx-trade-workers",
    "transaction": f"{KAFKA}:transactional-id/trade-tx/{UUID}/trade-tx",
    "dead-letter-topic": f"{KAFKA}:topic/trade-tx/{UUID}/trade-tx-dead",
    "other-topic": f"{KAFKA}:topic/trade-tx/{UUID}/trade-tx-2",
    "other-group": f"{KAFKA}:group/trade-tx/{UUID}/tx-trade-workers-2",
    "other-cluster": f"{KAFKA}:cluster/orders/{UUID}",
    "other-cluster-topic": f"{KAFKA}:topic/orders/{UUID}/trade-tx",
    "other-cluster-group": f"{KAFKA}:group/orders/{UUID}/tx-trade-workers",
    "database-user": f"{USERS}:cluster-OWN/tidegate",
    "other-database-user": f"{USERS}:cluster-OWN/postgres",
    "role": "arn:aws:iam::123456789012:role/admin",
    "bucket": "arn:aws:s3:::states/terraform.tfstate",
    "secret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:grafana",
    "key": "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555",
}
SERVICES = ("kafka-cluster", "kafka", "rds-db")


def policies(plan):
    """(setting, role) -> policy text, from the planned resources themselves."""
    found = {}
    for module in plan["planned_values"]["root_module"].get("child_modules", []):
        setting = re.fullmatch(r'module\.access\["(\w+)"\]', module["address"]).group(1)
        for resource in module["resources"]:
            if resource["type"] == "aws_iam_role_policy":
                found[setting, resource["index"]] = resource["values"]["policy"]
    return found


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        lines = (line for line in file if line.strip() and not line.startswith("#"))
        return [tuple(row) for row in csv.reader(lines, delimiter="\t")]


def actions():
    known = {service["prefix"]: service for service in parliament.iam_definition}
    missing = [prefix for prefix in SERVICES if prefix not in known]
    if missing:
        sys.exit(f"parliament does not know the services {missing}")
    return [f"{prefix}:{entry['privilege']}" for prefix in SERVICES for entry in known[prefix]["privileges"]]


def permitted(policy, action, resource):
    return policy.is_action_permitted(action, RESOURCES[resource]) == PermissionResult.PERMITTED


def faults_of(found, rows):
    faults = []
    evaluated = {at: IAMPolicy(text) for at, text in found.items()}
    for at, text in found.items():
        for finding in parliament.analyze_policy_string(text).findings:
            faults.append(f"{' '.join(at)}: {finding.issue} {finding.detail}")
    for setting, role, verdict, action, resource in rows:
        if verdict not in ("allow", "deny") or resource not in RESOURCES:
            faults.append(f"{setting} {role}: no such verdict or resource: {verdict} {resource}")
        elif (setting, role) not in evaluated:
            faults.append(f"{setting} {role}: no such policy is planned")
        elif permitted(evaluated[setting, role], action, resource) != (verdict == "allow"):
            faults.append(f"{setting} {role}: must {verdict} {action} on {resource}, and does not")
    allowed = {row[:2] + row[3:] for row in rows if row[2] == "allow"}
    everything = actions()
    for (setting, role), policy in evaluated.items():
        for action in everything:
            for resource in RESOURCES:
                if permitted(policy, action, resource) and (setting, role, action, resource) not in allowed:
                    faults.append(f"{setting} {role}: allows {action} on {resource}, which is in no allow row")
    return faults, len(evaluated) * len(everything) * len(RESOURCES)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.splitlines()[2])
    with open(sys.argv[1], encoding="utf-8") as file:
        found = policies(json.load(file))
    rows = table(sys.argv[2])
    if not found or not rows:
        sys.exit("no policies planned, or no rows in the table")
    faults, asked = faults_of(found, rows)
    for fault in faults:
        print(fault)
    print(f"{len(found)} policies, {len(rows)} rows, {asked} questions, {len(faults)} faults", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
