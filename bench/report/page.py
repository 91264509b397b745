"""The page: what it says of some runs, put into the template beside this file.

The template escapes everything. The page loads nothing, and its own policy says so to the browser: no address, no
style and no script but the two that are part of it.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy import uint8
from numpy.typing import NDArray
from PIL import Image as Pixels

from bench import plots, tables
from bench.analysis.ledger import decide_claims, ledger
from bench.records.probe import ProbeRecord
from bench.records.run import COMPLETED, DIVERGED, FAILED, RunRecord
from bench.report.figures import Image, data_uri, image
from bench.report.gallery import Gallery, Run, Samples
from bench.report.highlights import highlights
from bench.report.reproduction import Reproduction, reproduction
from bench.studies import STUDIES, Study
from bench.tables import COLUMN, TextTable
from bench.tables.claims import claims_table
from bench.tables.tabulation import tables_by_study


@dataclass(frozen=True)
class Cell:
    """A record, which run it is of, the commit it was made from, and how to get it again."""

    run: str
    record: RunRecord
    commit: str
    again: Reproduction


@dataclass(frozen=True)
class Section:
    """What the page says of records that may stand in one table.

    Attributes:
        name: of the study, with what parts these records from others of it.
        study: what is known of it here; None for a study of another version.
        highlights: sentences.
        conditions: what the numbers were obtained under, sentences.
        tables: all that the records allow.
        figures: likewise.
        samples: of a few rows.
        protocols: settings by variant.
        cells: every record.
    """

    name: str
    study: Study | None
    highlights: list[str]
    conditions: list[str]
    tables: list[TextTable]
    figures: list[Image]
    samples: list[Samples]
    protocols: dict[str, dict[str, Any]]
    cells: list[Cell]


def page(runs: Sequence[Run], *, dataset: str = "") -> str:
    """The page of some runs as HTML.

    Args:
        runs: with at least one record between them.
        dataset: where the files of their data lie, for sample predictions; simulated data need none.
    """
    found = [record for run in runs for record in run.records]
    probes = [probe for run in runs for probe in run.probes]
    of_both: list[RunRecord | ProbeRecord] = [*found, *probes]
    made = tables_by_study(found, probes)
    gallery = Gallery(runs, dataset)
    sections = []
    for name, together in tables.comparable(of_both).items():
        records = [record for record in together if isinstance(record, RunRecord)]
        of_models = [record for record in together if isinstance(record, ProbeRecord)]
        sections.append(
            Section(
                name=name,
                study=STUDIES.get(together[0].study),
                highlights=highlights(records),
                conditions=tables.conditions(records),
                tables=made[name],
                figures=[image(figure) for figure in plots.figures(records, of_models).values()],
                samples=gallery.samples(records),
                protocols=_protocols(records),
                cells=[_cell(gallery.run(record), record) for record in records],
            )
        )
    beside = files("bench.report") / "templates"
    style, script = ((beside / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    return (
        _templates()
        .get_template("page.html")
        .render(
            runs=[run.name for run in runs],
            facts=_facts(found),
            sections=sections,
            claims=_claims(found, probes),
            machines=_machines(found),
            style=Markup(style),  # noqa: S704 - our own files, not what a record says
            script=Markup(script),  # noqa: S704
            style_hash=_hash(style),
            script_hash=_hash(script),
        )
    )


def _claims(found: Sequence[RunRecord], probes: Sequence[ProbeRecord]) -> TextTable | None:
    """What the runs say of the published claims; None where they are of no study that decides any."""
    return claims_table(ledger(found, probes)) if decide_claims(found) else None


def _cell(run: Run, record: RunRecord) -> Cell:
    commit = str(record.environment.get("commit") or "unknown")[:12]
    changed = " with changes" if record.environment.get("dirty") else ""
    return Cell(run.name, record, commit + changed, reproduction(record))


def _facts(found: Sequence[RunRecord]) -> dict[str, str]:
    """The page in a few figures."""

    def listed(values: Sequence[object]) -> str:
        distinct = list(dict.fromkeys(map(str, values)))
        return distinct[0] if len(distinct) == 1 else f"{len(distinct)}: {', '.join(distinct)}"

    counts = [
        f"{number} {status}"
        for status in (COMPLETED, DIVERGED, FAILED)
        if (number := sum(record.status == status for record in found))
    ]
    days = sorted(record.started_at[:10] for record in found)
    return {
        "cells": ", ".join(counts),
        "models": str(len({record.model for record in found})),
        "studies": str(len({record.study for record in found})),
        "seeds": listed(sorted(record.seed for record in found)),
        "profile": listed([record.profile for record in found]),
        "trained": days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}",
        "data": listed([record.dataset for record in found]),
        "device": listed([record.environment["device_name"] for record in found]),
    }


def _protocols(records: Sequence[RunRecord]) -> dict[str, dict[str, Any]]:
    """Every protocol the records were made under, by variant; numbered where a variant had several."""
    distinct: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        of_variant = distinct.setdefault(record.variant or "as run", [])
        if record.protocol not in of_variant:
            of_variant.append(record.protocol)
    return {
        variant if len(of_variant) == 1 else f"{variant} ({number})": protocol
        for variant, of_variant in distinct.items()
        for number, protocol in enumerate(of_variant, start=1)
    }


def _machines(found: Sequence[RunRecord]) -> dict[str, dict[str, Any]]:
    """Every machine with its versions, by the device's name; numbered. The cells say their commits."""
    machines: list[dict[str, Any]] = []
    for record in found:
        packages = record.environment["packages"]
        machine = {
            name: value
            for name, value in (record.environment | packages).items()
            if name not in ("packages", "commit", "dirty")
        }
        if machine not in machines:
            machines.append(machine)
    return {f"machine {number}": machine for number, machine in enumerate(machines, start=1)}


def _keys_of_all(columns: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names that any of them has, in the order of first appearance."""
    return list(dict.fromkeys(name for column in columns for name in column))


def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("bench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"value": _value, "pixels": _pixels, "quantity": _quantity, "keys_of_all": _keys_of_all}
    return made


def _hash(text: str) -> str:
    """A source as a content security policy names it."""
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


def _quantity(value: float | None, field: str) -> str:
    """A quantity of a record as tables show it."""
    return "-" if value is None else COLUMN[field].text(value)


def _pixels(values: NDArray[uint8]) -> str:
    """Colors (H, W, 3) as a data URI."""
    content = BytesIO()
    Pixels.fromarray(values).save(content, format="png")
    return data_uri("png", content.getvalue())
