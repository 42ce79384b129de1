"""Whether labels meet the requirements of a selector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from autoslicer.core.rows import Requirement


def matches(selector: Iterable[Requirement], labels: Mapping[str, str]) -> bool:
    """All requirements are met; an empty selector matches everything."""
    return all(meets(requirement, labels) for requirement in selector)


def meets(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    """One requirement is met, by the rules of apimachinery's `labels.Requirement.Matches`.

    >>> meets(Requirement("zone", "NotIn", ("a",)), {})
    True
    >>> meets(Requirement("cpus", "Gt", ("8",)), {"cpus": "9"})
    True
    """
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            found, bound = _integer(value), _integer(requirement.values[0])
            if found is None or bound is None:
                return False
            return found > bound if requirement.operator == "Gt" else found < bound
    raise ValueError(f"{requirement.operator} is no operator of a selector")


def _integer(text: str | None) -> int | None:
    try:
        return int(text) if text is not None and text.isascii() and len(text) <= 20 else None
    except ValueError:
        return None
