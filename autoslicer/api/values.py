"""The kinds of scalar and list that fields of several resources share, each with what it must look like."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from autoslicer.api.model import Model
from autoslicer.core import schedules
from autoslicer.core.causes import Cause

_DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_NAME_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"


def _cron(*values: str) -> str:
    """Return the pattern of a cron schedule from those of the values of its fields."""
    terms = [rf"(\*|{value}(-{value})?)(/[1-9][0-9]?)?" for value in values]
    fields = " ".join(f"{term}(,{term})*" for term in terms)
    return f"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|{fields})$"


# The device plugin advertises only instances whose compute slices are all in one piece: no "1c.2g.20gb" here.
PROFILE = r"^[1-7]g\.[1-9][0-9]{0,3}gb([+-][a-z]+([.,][a-z]+)*)?$"
DNS_LABEL = rf"^{_DNS_LABEL}$"
SUBDOMAIN = rf"^{_SUBDOMAIN}$"
LABEL_KEY = rf"^({_SUBDOMAIN}/)?{_NAME_PART}$"
LABEL_VALUE = rf"^({_NAME_PART})?$"
CONFIG = rf"^{_NAME_PART}$"
POD = rf"^{_DNS_LABEL}/{_SUBDOMAIN}$"
NODE_COUNT = r"^([0-9]+|[0-9]{1,2}%|100%)$"
SCHEDULE = _cron(
    "[0-5]?[0-9]",
    "([01]?[0-9]|2[0-3])",
    "(0?[1-9]|[12][0-9]|3[01])",
    "(0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))",
    "([0-7]|(?i:sun|mon|tue|wed|thu|fri|sat))",
)
DURATION = r"^([1-9][0-9]{0,3}h([0-9]{1,4}m)?|[1-9][0-9]{0,4}m)(0s)?$"
DIGEST = r"^sha256:[0-9a-f]{64}$"
PCI_DEVICE = r"^0x[0-9A-F]{8}$"
GPU_UUID = r"^GPU-"
MIG_UUID = r"^MIG-"
# metav1.Condition's own patterns
CONDITION_TYPE = rf"^({_SUBDOMAIN}/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
CONDITION_REASON = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"

EXPECTED = {
    PROFILE: "a MIG profile as NVIDIA spells it, such as 1g.10gb or 1g.10gb+me",
    DNS_LABEL: "a namespace's name: lower-case letters, digits and dashes",
    SUBDOMAIN: "an object's name: lower-case letters, digits, dashes and dots",
    LABEL_KEY: "a label's key, such as nvidia.com/mig.capable",
    LABEL_VALUE: "a label's value: at most 63 letters, digits, dashes, dots and underscores",
    CONFIG: "a mig-parted config's name: 1 to 63 letters, digits, dashes, dots and underscores",
    POD: "namespace/name of a pod",
    NODE_COUNT: 'a number of nodes ("3") or a percentage of the governed ones ("10%")',
    SCHEDULE: "a cron schedule (minute, hour, day of month, month, day of week), such as 0 22 * * mon-fri or "
    "@daily",
    DURATION: "hours and minutes, such as 8h, 90m or 1h30m",
    DIGEST: "sha256: and 64 hexadecimal digits",
    GPU_UUID: "the UUID of a GPU",
    MIG_UUID: "the UUID of a MIG device",
    PCI_DEVICE: "a PCI device and vendor id, such as 0x233010DE",
    CONDITION_TYPE: "a condition's type",
    CONDITION_REASON: "a reason in CamelCase",
}

YEAR_SECONDS = 365 * 24 * 3600

Seconds = Annotated[int, Field(ge=0, le=YEAR_SECONDS)]
Deadline = Annotated[int, Field(ge=1, le=YEAR_SECONDS)]
Count = Annotated[int, Field(ge=0)]
Profile = Annotated[str, Field(pattern=PROFILE, max_length=32)]
Namespace = Annotated[str, Field(pattern=DNS_LABEL, max_length=63)]
ObjectName = Annotated[str, Field(pattern=SUBDOMAIN, max_length=253)]
LabelKey = Annotated[str, Field(pattern=LABEL_KEY, max_length=317)]
LabelValue = Annotated[str, Field(pattern=LABEL_VALUE, max_length=63)]
ConfigName = Annotated[str, Field(pattern=CONFIG, max_length=63)]
PodName = Annotated[str, Field(pattern=POD, max_length=317)]
NodeCount = Annotated[str, Field(pattern=NODE_COUNT, max_length=6)]
Duration = Annotated[str, Field(pattern=DURATION, max_length=12)]
Digest = Annotated[str, Field(pattern=DIGEST, max_length=71)]
PciDevice = Annotated[str, Field(pattern=PCI_DEVICE)]
GpuUuid = Annotated[str, Field(pattern=GPU_UUID, max_length=128)]
MigUuid = Annotated[str, Field(pattern=MIG_UUID, max_length=128)]
Text = Annotated[str, Field(max_length=32768)]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Instances = Annotated[dict[Profile, Annotated[int, Field(ge=1, le=7)]], Field(max_length=16)]


# strict mode takes only a member for an enum's field; documents have words
Word = Field(strict=False)

ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}


def keyed_by(field: str) -> dict[str, Any]:
    """Return what a list's schema needs so that the API server takes `field` of its items as their key."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [field]}


def _on_some_day(schedule: str) -> str:
    try:
        return schedules.checked(schedule)
    except ValueError as error:
        raise PydanticCustomError("rule", "{why}", {"why": str(error)}) from None


def _distinct(items: list[str]) -> list[str]:
    repeated = sorted({item for item in items if items.count(item) > 1})
    if repeated:
        raise PydanticCustomError("repeated", "must not name {item} twice", {"item": repeated[0]})
    return items


Causes = Annotated[
    list[Annotated[Cause, Field(strict=False, description="What changes are for.")]],
    AfterValidator(_distinct),
    Field(max_length=len(Cause), json_schema_extra=SET),
]
Schedule = Annotated[str, Field(pattern=SCHEDULE, max_length=128), AfterValidator(_on_some_day)]
Profiles = Annotated[list[Profile], AfterValidator(_distinct), Field(max_length=32, json_schema_extra=SET)]
PodNames = Annotated[list[PodName], AfterValidator(_distinct), Field(max_length=256, json_schema_extra=SET)]


class Metadata(Model):
    """An object's metadata, of which only the name matters here."""

    model_config = ConfigDict(extra="allow")

    name: ObjectName
