"""What a job asks for, by resource, as the scheduler counts it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

from autoslicer.api.values import LABEL_KEY
from autoslicer.core import quantity
from autoslicer.core.names import MIG_RESOURCE_PREFIX
from autoslicer.core.rows import Resources
from simulations.workload.mistakes import Kind, Mistake
from simulations.workload.records import wrong
from solver import geometry
from solver.profile_name import profile_of_resource, resource_name

NATIVE = ("cpu", "memory", "ephemeral-storage")
"""the resources that Kubernetes names itself and a node of a simulated cluster may offer"""
MOST_UNITS = 1_000_000
"""of an extended resource"""
_EXTENDED = re.compile(LABEL_KEY)
_LONGEST = 253


def requests(value: object) -> Resources:
    """The amounts that a mapping from resources to Kubernetes quantities asks for; no amount is 0.

    Raises:
        Mistake: it is no mapping, or names a resource or an amount that there is not.
    """
    if not isinstance(value, Mapping):
        right = 'a mapping from resources to quantities, such as {"nvidia.com/mig-1g.10gb": 1, "cpu": "2"}'
        raise wrong("requests", value, right)
    found = {resource: _amount(resource, given) for resource, given in value.items()}
    return {resource: amount for resource, amount in found.items() if amount}


def _amount(resource: str, given: object) -> int:
    _known(resource)
    where = f"requests.{resource}"
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise wrong(where, given, "a quantity, such as 2, 500m or 16Gi")
    try:
        amount = quantity.parse(resource, given)
        thousandths = quantity.parse("cpu", given)
    except ValueError as error:
        said = str(error).removeprefix(f"{resource}: ")
        what, _, right = said.partition("; ")
        raise Mistake(Kind.VALUE, where, what, right or "ask for 0 or more") from None
    # of an extended resource there are only whole units
    if "/" in resource and (amount > MOST_UNITS or thousandths != 1000 * amount):
        raise wrong(where, given, f"a whole number of at most {MOST_UNITS}")
    return amount


def _known(resource: str) -> None:
    if resource.startswith(MIG_RESOURCE_PREFIX):
        profile = profile_of_resource(resource)
        if profile not in geometry.profile_names():
            raise Mistake(
                Kind.PROFILE, f"requests.{resource[:_LONGEST]}", "no GPU has this profile", _instead(resource)
            )
    elif resource not in NATIVE and not ("/" in resource and _EXTENDED.fullmatch(resource)):
        right = f"a resource is {', '.join(NATIVE)} or has a domain, such as nvidia.com/mig-1g.10gb"
        raise Mistake(Kind.VALUE, f"requests.{resource[:_LONGEST]}", "is no resource", right)


def _instead(resource: str) -> str:
    spelled = sorted(map(resource_name, geometry.profile_names()))
    close = get_close_matches(resource[:_LONGEST], spelled, n=3) or ["nvidia.com/mig-1g.10gb"]
    return f"it should read like {' or '.join(close)}"
