"""The page: what the records of some runs show, put into the template beside this file.

The template escapes everything. The page loads nothing, and its own policy enforces that in the browser: it allows
no address, and no style or script but the two that are part of it.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.analysis.claim_files import published_claims
from bench.analysis.claims import TIMES, Claims
from bench.analysis.conditions import describe
from bench.analysis.confusion import confusions
from bench.analysis.formats import enumerated
from bench.analysis.frames import comparable, outcomes
from bench.analysis.ledger import any_for_claims, ledger
from bench.analysis.tuning import with_best_rates
from bench.records import COMPLETED, DIVERGED, FAILED, CostRecord, ProbeRecord, RunRecord
from bench.records.reading import Run
from bench.report import cells
from bench.report.figures import Image, images
from bench.report.gallery import gallery
from bench.report.highlights import highlights
from bench.tables.claims import claims_tables, comparison_tables, tuning_tables
from bench.tables.costs import cost_tables
from bench.tables.findings import verdict_counts
from bench.tables.tabulation import tables_by_study
from bench.tables.text import TextTable

MOST_ROWS = 40
"""A longer table is folded until the reader opens it."""

Draw = Callable[[Iterable[Run]], Iterable[list[Image]]]


def _draw(runs: Iterable[Run]) -> Iterable[list[Image]]:
    return map(images, runs)


def page(runs: Sequence[Run], claims: Claims | None = None, *, draw: Draw = _draw) -> str:
    """The page of some runs as HTML.

    Args:
        runs: What it shows.
        claims: That it has verdicts on; None for the published ones.
        draw: Draws the figures of records that stand together. What it returns is gone through when all tables are
            made.
    """
    records = [record for run in runs for record in run.records]
    probes = [probe for run in runs for probe in run.probes]
    costs = [cost for run in runs for cost in run.costs]
    together: list[RunRecord | ProbeRecord] = [*records, *probes]
    comparables = [_comparable(name, group) for name, group in comparable(together).items()]
    figures = draw([*comparables, Run("costs", [], [], costs, None)])
    tables = tables_by_study(records, probes)
    declared = published_claims() if claims is None else claims
    decided = ledger(records, probes, declared) if any_for_claims(records, declared) else None
    verdicts = (
        [*claims_tables(decided), *comparison_tables(decided), *tuning_tables(decided)]
        if decided and decided.conditions
        else []
    )
    run_of = {id(record): run for run in runs for record in run.records}
    sections = [
        _section(group, tables[group.name], [run_of[id(record)] for record in group.records], declared)
        for group in comparables
    ]
    folder = files("bench.report") / "templates"
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    return (
        _templates()
        .get_template("page.html")
        .render(
            runs=[run.name for run in runs],
            facts=_facts(records, costs),
            sections=sections,
            claims=verdicts,
            verdict_counts=verdict_counts(decided) if decided else "",
            costs=cost_tables(costs),
            figures=list(figures),
            machines=_machines([*records, *costs]),
            most_rows=MOST_ROWS,
            style=Markup(style),  # noqa: S704 - our own files, not what a record says
            script=Markup(script),  # noqa: S704
            style_hash=_hash(style),
            script_hash=_hash(script),
        )
    )


def _comparable(name: str, group: Sequence[RunRecord | ProbeRecord]) -> Run:
    records = [record for record in group if isinstance(record, RunRecord)]
    return Run(name, records, [record for record in group if isinstance(record, ProbeRecord)], [], None)


def _section(group: Run, tables: list[TextTable], runs: Sequence[Run], claims: Claims) -> dict[str, Any]:
    """What the template shows of comparable records; ``runs`` are those of the records, one each."""
    records, compared = group.records, with_best_rates(group.records)
    timed = {study for claim in claims.claims for study, _ in claim.settings.get(TIMES, ())}
    return {
        "name": group.name,
        "question": next((record.question for record in compared if record.question), ""),
        "highlights": highlights(compared, times=any(record.study in timed for record in records)),
        "conditions": describe(compared) if records else [],
        "tables": tables,
        "confusions": confusions(compared),
        "samples": gallery(records, [run.folder for run in runs]),
        "protocols": _protocols(records),
        "metrics": outcomes(compared),
        "decimals": cells.decimals(records, outcomes(compared)),
        "cells": [(record, run.name) for record, run in zip(records, runs, strict=True)],
    }


def _facts(records: Sequence[RunRecord], costs: Sequence[CostRecord]) -> dict[str, str]:
    """The page in a few words and numbers; what nothing is known of is left out."""

    def distinct(values: Iterable[object]) -> list[str]:
        return list(dict.fromkeys(map(str, values)))

    def listed(values: Iterable[object]) -> str:
        texts = distinct(values)
        return f"{len(texts)}: {', '.join(texts)}" if len(texts) > 1 else "".join(texts)

    counts = [
        f"{number} {status}"
        for status in (COMPLETED, DIVERGED, FAILED)
        if (number := sum(record.status == status for record in records))
    ]
    days = sorted({record.started_at[:10] for record in records})
    environments = [record.environment for record in (*records, *costs)]
    facts = {
        "cells": ", ".join(counts),
        "models": str(len(distinct(record.model for record in records)) or ""),
        "studies": str(len(distinct(record.study for record in records)) or ""),
        "seeds": _seeds(sorted({record.seed for record in records})),
        "profile": listed(record.profile for record in (*records, *costs)),
        "trained": " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "",
        "data": listed(record.dataset for record in records),
        "device": listed(environment.get("device_name", "unknown") for environment in environments),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _seeds(seeds: Sequence[int]) -> str:
    """Their number and themselves."""
    if len(seeds) < 2:
        return enumerated(seeds)
    return f"{len(seeds)}: {enumerated(seeds)}"


def _protocols(records: Sequence[RunRecord]) -> dict[str, dict[str, Any]]:
    """Every protocol of the records, by variant; numbered where a variant has several."""
    protocols: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        of_variant = protocols.setdefault(record.variant or "as run", [])
        if record.protocol not in of_variant:
            of_variant.append(record.protocol)
    return {
        variant if len(of_variant) == 1 else f"{variant} ({number})": protocol
        for variant, of_variant in protocols.items()
        for number, protocol in enumerate(of_variant, start=1)
    }


def _machines(records: Iterable[RunRecord | CostRecord]) -> dict[str, dict[str, Any]]:
    """Every machine with its versions, numbered. The table of cells has the commits."""
    machines: list[dict[str, Any]] = []
    for record in records:
        settings = {**record.environment, **record.environment.get("packages", {})}
        machine = {
            name: str(value) if type(value) is int else value  # cuDNN 92400 is a version, not 92,400
            for name, value in settings.items()
            if name not in ("packages", "commit", "dirty")
        }
        if machine and machine not in machines:
            machines.append(machine)
    return {f"machine {number}": machine for number, machine in enumerate(machines, start=1)}


def _keys_of_all(columns: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names that any of the columns has, in the order of first appearance."""
    return list(dict.fromkeys(name for column in columns for name in column))


def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("bench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"value": _value, "keys_of_all": _keys_of_all}
    templates.filters |= {"measured": cells.measured, "commit": cells.commit, "caveats": cells.caveats}
    return templates


def _hash(text: str) -> str:
    """The name of a source in a content security policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _value(value: object) -> str:
    """A setting as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "-" if value is None or value == "" else str(value)
