"""Names of MIG profiles: their grammar, and how Kubernetes spells them as resources."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

RESOURCE_PREFIX = "nvidia.com/mig-"

_GRAMMAR = re.compile(
    r"(?P<compute>[1-9]\d?)g\.(?P<gigabytes>[1-9]\d{0,3})gb(?P<attribute>\+me\.all|\+me|\+gfx|-me)?"
)


@dataclass(frozen=True, slots=True)
class ProfileName:
    """A profile's name taken apart: `<compute>g.<gigabytes>gb[<attribute>]`.

    Attributes:
        compute: compute slices.
        gigabytes: the rounded memory; it depends on what the driver reports and identifies nothing by itself.
        attribute: "", "+me" (a media engine set), "+me.all" (all of them), "-me" (none) or "+gfx" (graphics).
    """

    compute: int
    gigabytes: int
    attribute: str = ""

    def __str__(self) -> str:
        return f"{self.compute}g.{self.gigabytes}gb{self.attribute}"


def parse(name: str) -> ProfileName:
    """The parts of a profile's name, as go-nvlib's `mig_profile.go` writes it.

    Profiles with fewer compute than GPU instance slices (`1c.2g...`) are no name here: the device plugin
    never advertises them.

    Raises:
        ValueError: `name` is not the name of a profile.

    >>> parse("1g.24gb+me.all")
    ProfileName(compute=1, gigabytes=24, attribute='+me.all')
    >>> str(parse("3g.40gb"))
    '3g.40gb'
    """
    match = _GRAMMAR.fullmatch(name)
    if match is None:
        raise ValueError(
            f"{name!r} is not a MIG profile; it should read like 1g.10gb, 1g.10gb+me or 1g.24gb-me"
        )
    return ProfileName(int(match["compute"]), int(match["gigabytes"]), match["attribute"] or "")


def resource_name(profile: str) -> str:
    """The extended resource that advertises a profile: '+' is illegal there and becomes '.'.

    >>> resource_name("1g.10gb+me"), resource_name("1g.24gb-me")
    ('nvidia.com/mig-1g.10gb.me', 'nvidia.com/mig-1g.24gb-me')
    """
    return RESOURCE_PREFIX + profile.replace("+", ".")


@lru_cache(maxsize=4096)
def profile_of_resource(resource: str) -> str | None:
    """The profile that a `nvidia.com/mig-*` resource stands for; None where it stands for none.

    >>> profile_of_resource("nvidia.com/mig-1g.24gb.me.all"), profile_of_resource("nvidia.com/mig-3g.40gb")
    ('1g.24gb+me.all', '3g.40gb')
    >>> profile_of_resource("nvidia.com/mig-1g.10gb.shared"), profile_of_resource("nvidia.com/gpu")
    (None, None)
    """
    spelled = resource.removeprefix(RESOURCE_PREFIX)
    if spelled == resource or "+" in spelled:
        return None
    profile = re.sub(r"gb\.", "gb+", spelled, count=1)
    return profile if _GRAMMAR.fullmatch(profile) else None
