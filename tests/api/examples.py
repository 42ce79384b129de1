"""For every constraint of a schema a value that breaks it, and one that just does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autoslicer.api import values
from tests.api.constraints import Constraint, node_at, value_at, with_value
from tests.api.objects import FULL, POLICY, RECONFIGURATION


@dataclass(frozen=True, slots=True)
class Example:
    """Values at a constraint's path: one that breaks it, and one that just does not.

    `says` is a part of the API server's refusal, `field` what it adds to the path to name the field.
    """

    bad: Any
    good: Any
    says: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """Strings about a pattern: one that does not match, and the longest that does, for a given length."""

    bad: str
    stem: str
    filler: str = "a"

    def of_length(self, length: int) -> str:
        """Return a string of the length that matches the pattern, but for a pattern that limits it."""
        return (self.stem + self.filler * length)[: max(length, len(self.stem))]


SAMPLES = {
    values.PROFILE: Sample("1g.10gb.me", "1g.10gb+"),
    values.DNS_LABEL: Sample("GPU_operator", ""),
    values.SUBDOMAIN: Sample("a..b", ""),
    values.LABEL_KEY: Sample("two words", "a" * 253 + "/"),
    values.LABEL_VALUE: Sample("-true", ""),
    values.CONFIG: Sample("all-1g.10gb+me", ""),
    values.POD: Sample("infer-3", "a" * 63 + "/"),
    values.NODE_COUNT: Sample("101%", "", "9"),
    values.SCHEDULE: Sample("61 * * * *", "00 0 * * 0", ",0"),
    values.DURATION: Sample("1d", "9999h9999m0s"),
    values.DIGEST: Sample("md5:0", "sha256:"),
    values.PCI_DEVICE: Sample("233010DE", "0x"),
    values.GPU_UUID: Sample("5c8e", "GPU-"),
    values.MIG_UUID: Sample("9d14", "MIG-"),
    values.CONDITION_TYPE: Sample("not ready", "a" * 252 + "/"),
    values.CONDITION_REASON: Sample("in-force", ""),
}


def example(constraint: Constraint) -> Example:
    """Return an example for the constraint; one that has none is a KeyError, so that no rule goes without."""
    here = value_at(FULL[constraint.kind], constraint.path)
    limit = constraint.value
    match constraint.keyword:
        case "transition":
            return Example(TRANSITIONS[".".join(constraint.path)], here, limit["message"])
        case "cel":
            return CEL_EXAMPLES[limit["message"], ".".join(constraint.path)]
        case "required":
            without = {name: child for name, child in here.items() if name != limit}
            return Example(without, here, "Required value", f".{limit}")
        case "distinct":
            return Example([here[0], here[0]], [here[0]], "Duplicate value", "[1]")
        case "enum":
            return Example("Nonsense", here, "Unsupported value")
        case "pattern":
            return Example(SAMPLES[limit].bad, here, "should match")
        case "format":
            return Example("yesterday", here, "date-time")
        case "minimum":
            return Example(limit - 1, limit, "should be greater than or equal to")
        case "maximum":
            return Example(limit + 1, limit, "should be less than or equal to")
        case "minLength":
            return Example("", here, "should be at least")
        case "maxLength":
            sample = SAMPLES.get(node_at(constraint).get("pattern"), Sample("", ""))
            return Example(sample.of_length(limit + 1), sample.of_length(limit), "Too long")
        case "minItems":
            return Example([], here, "should have at least")
        case "maxItems":
            return Example(
                _many(constraint, here, limit + 1), _many(constraint, here, limit), "must have at most"
            )
        case "maxProperties":
            return Example(_map(here, limit + 1), _map(here, limit), "must have at most")
    raise KeyError(constraint.keyword)


def _many(constraint: Constraint, here: list[Any], count: int) -> list[Any]:
    """Return a list of so many items like the first, told apart where the list asks for it."""
    return [_numbered(constraint, here[0], number) for number in range(count)]


def _numbered(constraint: Constraint, item: Any, number: int) -> Any:
    keys = node_at(constraint).get("x-kubernetes-list-map-keys", [])
    if keys == ["index"]:
        return {**item, "index": number}
    if keys == ["type"]:
        return {**item, "type": f"{item['type']}{number}"}
    if keys == ["profile"]:
        return {**item, "profile": f"1g.{number + 1}gb"}
    if keys == ["name"]:
        return {**item, "name": f"1g.{number + 1}gb"}
    if words := node_at(constraint)["items"].get("enum"):
        return words[number % len(words)]
    if isinstance(item, str):
        return f"5g.{number + 1}gb" if "gb" in item else f"{item}{number}"
    return item


def _map(here: dict[str, Any], count: int) -> dict[str, Any]:
    [value] = set(here.values())
    return {f"1g.{number + 1}gb": value for number in range(count)}


_SPEC = RECONFIGURATION["spec"]
_KEYS_OF_LABELS = f"every key must be {values.EXPECTED[values.LABEL_KEY]}"
_KEYS_OF_COUNTS = f"every key must be {values.EXPECTED[values.PROFILE]}"
_VALUES = "values must name at least one value for In and NotIn, and none for Exists and DoesNotExist"
_BAD_MAP = {"1c.2g.20gb": 1}


def _cel(path: str, message: str, bad: Any, good: Any, field: str = "") -> tuple[tuple[str, str], Example]:
    return (message, path), Example(bad, good, message, field)


CEL_EXAMPLES = dict(
    (
        _cel(
            "spec.nodeSelector",
            'nodeSelector must ask for something, such as matchLabels {"nvidia.com/mig.capable": "true"}: '
            "an empty one would govern every node",
            {"matchLabels": {}},
            {"matchLabels": {"pool": ""}},
        ),
        _cel("spec.nodeSelector.matchLabels", _KEYS_OF_LABELS, {"two words": "x"}, {"a.b/c_d": "x"}),
        _cel(
            "spec.nodeSelector.matchExpressions.[]",
            _VALUES,
            {"key": "pool", "operator": "Exists", "values": ["a"]},
            {"key": "pool", "operator": "Exists"},
            ".values",
        ),
        _cel(
            "spec.idle",
            "config must name a config where afterSeconds is not 0",
            {"afterSeconds": 1},
            {"afterSeconds": 1, "config": "all-7g.80gb"},
            ".config",
        ),
        _cel(
            "spec.layouts",
            "deniedProfiles must not name a profile that allowedProfiles names too",
            {"allowedProfiles": ["1g.10gb", "3g.40gb"], "deniedProfiles": ["3g.40gb"]},
            {"allowedProfiles": ["1g.10gb", "3g.40gb"], "deniedProfiles": ["7g.80gb"]},
            ".deniedProfiles",
        ),
        _cel(
            "spec.trigger",
            "batchMaxSeconds must be at least batchIdleSeconds",
            {"batchIdleSeconds": 61},
            {"batchIdleSeconds": 60},
            ".batchMaxSeconds",
        ),
        _cel(
            "spec.disruption.budgets.[]",
            "schedule and duration must be given together, or neither of them",
            {"nodes": "0", "duration": "8h"},
            {"nodes": "0"},
            ".schedule",
        ),
        _cel(
            "",
            "metadata.name must be at most 63 characters long",
            {**POLICY, "metadata": {"name": "a" * 64}},
            {**POLICY, "metadata": {"name": "a" * 63}},
        ),
        _cel(
            "",
            "metadata.name must be spec.node.name, a dash and the number of the change, counted from 1",
            {**RECONFIGURATION, "metadata": {"name": "gpu-07-012"}},
            {**RECONFIGURATION, "metadata": {"name": "gpu-07-120"}},
        ),
        _cel(
            "spec",
            "to must differ from from: mig-manager does nothing where the label keeps its value",
            {**_SPEC, "to": "all-balanced"},
            {**_SPEC, "to": "all-balanced.2"},
            ".to",
        ),
        _cel(
            "spec",
            "gpus must list every GPU of the node, with the indices 0 to n-1",
            {**_SPEC, "gpus": [_SPEC["gpus"][1]]},
            {**_SPEC, "gpus": [_SPEC["gpus"][1], _SPEC["gpus"][0]]},
            ".gpus",
        ),
        _cel(
            "spec",
            "evicts must not name a pod that serves names too",
            {**_SPEC, "evicts": ["team-a/infer-4"]},
            {**_SPEC, "evicts": []},
            ".evicts",
        ),
        _cel(
            "spec",
            "serves must be empty where cause is not Demand",
            {**_SPEC, "cause": "Headroom"},
            {**_SPEC, "cause": "Headroom", "serves": []},
            ".serves",
        ),
        _cel(
            "spec.gpus.[]",
            "changed must be true where from and to differ",
            {"index": 0, "from": None, "to": {}, "changed": False},
            {"index": 0, "from": None, "to": None, "changed": False},
            ".changed",
        ),
        _cel("spec.gpus.[].from", _KEYS_OF_COUNTS, _BAD_MAP, {"3g.40gb": 1}),
        _cel("spec.gpus.[].to", _KEYS_OF_COUNTS, _BAD_MAP, {"3g.40gb": 1}),
    )
)

TRANSITIONS: dict[str, Any] = {
    "spec.node": {**_SPEC["node"], "uid": "another"},
    "spec.policy": "another",
    "spec.planDigest": "sha256:" + "f" * 64,
    "spec.cause": "Headroom",
    "spec.from": "all-1g.10gb",
    "spec.to": "autoslicer-00000000",
    "spec.gpus": [{**_SPEC["gpus"][0], "to": None}, _SPEC["gpus"][1]],
    "spec.serves": _SPEC["serves"][:1],
    "spec.evicts": [],
    "spec.reserve": False,
    "spec.recovery": {},
    "spec.approved": False,
}
"""What a field of the full object, once approved, may not become."""


def document(constraint: Constraint, value: Any) -> dict[str, Any]:
    """Return the kind's full object with the value at the constraint's path, and a name that fits it."""
    found: dict[str, Any] = with_value(FULL[constraint.kind], constraint.path, value)
    node = found.get("spec", {}).get("node")
    if constraint.path and isinstance(node, dict) and isinstance(node.get("name"), str):
        found["metadata"] = {"name": f"{node['name']}-1"}
    return found
