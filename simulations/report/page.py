"""The page: the answer first, then what shows it, then what it takes to get it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from simulations.history.history import History
from simulations.report import nodes, supply, waits
from simulations.report.markup import Markup, beside, joined, table, tag
from simulations.run import Outcome
from simulations.telling import answer, bounded, wait

_HEADS = (
    *("strategy", "served", "mean wait", "p50", "p95", "p99", "longest"),
    *("reshapes", "GPUs changed", "nodes out of service", "evictions", "in use"),
)


@dataclass(frozen=True, slots=True)
class Study:
    """What a report tells of.

    Attributes:
        outcomes: one a strategy.
        histories: of the same strategies, in the same order.
        document: the scenario with every default filled in.
        digest: of the scenario.
        mean_wait: seconds that pods wait on average at least, whatever is done; None for unknown.
        lenient: lines of a trace that are wrong were left out.
    """

    outcomes: Sequence[Outcome]
    histories: Sequence[History]
    document: Mapping[str, Any]
    digest: str
    mean_wait: float | None
    lenient: bool = False


def page(study: Study) -> str:
    """The report as HTML: the same bytes for the same study; it needs no other file and no network."""
    style = Markup(resources.files("simulations.report").joinpath("style.css").read_text(encoding="utf-8"))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", "What-if report"),
        tag("style", style),
    )
    body = tag("body", tag("header", *_answer(study)), _contents(), tag("main", *_sections(study)))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _answer(study: Study) -> Iterator[Markup]:
    first, *others = answer(study.outcomes)
    yield tag("h1", first)
    yield from (tag("p", sentence, class_="lead") for sentence in others)
    if study.mean_wait is not None and study.mean_wait >= 1:
        yield tag("p", bounded(study.mean_wait))


_SECTIONS = (
    ("compared", "The strategies compared"),
    ("waits", "How long pods wait"),
    ("demand", "Demand and supply"),
    ("use", "How much is in use"),
    ("nodes", "The layouts of the nodes"),
    ("again", "The scenario, and how to run it again"),
)


def _contents() -> Markup:
    links = (tag("li", tag("a", name, href=f"#{anchor}")) for anchor, name in _SECTIONS)
    return tag("nav", tag("ul", *links), aria_label="Contents")


def _sections(study: Study) -> Iterator[Markup]:
    content = (
        _compared(study),
        waits.section(study.histories),
        supply.demand(study.histories),
        supply.use(study.histories),
        nodes.section(study.histories),
        _again(study),
    )
    for (anchor, name), inside in zip(_SECTIONS, content, strict=True):
        yield tag("section", tag("h2", name), inside, id=anchor)


def _compared(study: Study) -> Markup:
    rows: list[tuple[object, ...]] = [_figures(one) for one in study.outcomes]
    if study.mean_wait is not None:
        gap = ("",) * (len(_HEADS) - 3)
        rows.append(("bound, for all that are served", "", f"≥ {wait(study.mean_wait)}", *gap))
    told = tag(
        "p",
        "A wait is from a pod's arrival to its binding; a pod that was never bound counts with the time to "
        "the end. Nodes out of service: the time, summed over nodes, in which they took no pod because they "
        "were changed.",
    )
    return joined((told, table("All strategies met the same pods in the same cluster", _HEADS, rows)))


def _figures(one: Outcome) -> tuple[object, ...]:
    found = one.waits
    return (
        one.strategy,
        f"{one.pods - one.unserved} of {one.pods}",
        *map(wait, (found.mean, found.p50, found.p95, found.p99, found.max)),
        one.reshapes,
        one.gpus_changed,
        wait(one.node_unavailable),
        one.evictions,
        f"{one.utilisation:.0%}",
    )


def _again(study: Study) -> Markup:
    written = yaml.safe_dump(dict(study.document), sort_keys=False, allow_unicode=True, width=100)
    lenient = " --lenient" if study.lenient else ""
    command = f"autoslicer simulate scenario.yaml{lenient} -o html=report.html"
    told = (
        "Save the scenario as scenario.yaml, beside it the file that it names, if it names one, and run the "
        "command. The same version of autoslicer finds the same digest, and writes the same report."
    )
    return joined(
        (
            tag("p", told),
            tag("pre", command, tabindex="0", aria_label="Command"),
            tag("p", "Digest: ", tag("code", study.digest)),
            beside("scenario.yaml", tag("pre", written, tabindex="0", aria_label="Scenario as YAML")),
        )
    )
