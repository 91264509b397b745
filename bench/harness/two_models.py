"""``--compare-models``: the claims that two models differ, in the form of a file of claims."""

import json
from collections.abc import Sequence
from pathlib import Path

from bench.analysis.claims import Relation
from bench.analysis.quantities import ESTIMANDS
from bench.analysis.sequential import LOOKS
from bench.analysis.statistics import FEWEST_SEEDS
from bench.study import Study


def declared(a: str, b: str, studies: Sequence[Study], seeds: int) -> dict[Path, str]:
    """The file that declares what is compared, test accuracy and loss; its name and its content.

    Args:
        a: Name of a model.
        b: Likewise.
        studies: Each of their protocols is a setting.
        seeds: The number of seeds.
    """

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)  # also a string of TOML

    sources = [tuple(filter(None, (study.name, variant))) for study in studies for variant in study.protocols]
    lines = [
        f"looks = {list(looks_within(seeds))}",
        f"run = [{', '.join(quoted(study.name) for study in studies)}]",
        "published = false",
        "",
        "[settings]",
        *(f"{quoted(' '.join(source))} = [{quoted('/'.join(source))}]" for source in sources),
    ]
    for estimand in ("accuracy", "loss"):
        better = f"{a} {Relation.BETTER} {b}"
        lines += [
            "",
            "[[claims]]",
            f"name = {quoted(estimand)}",
            f"words = {quoted(f'{better} in {ESTIMANDS[estimand].metric.title}')}",
            "[[claims.tests]]",
            f"estimand = {quoted(estimand)}",
            f"comparisons = [{quoted(better)}]",
        ]
    return {Path(f"{a}-or-{b}.toml"): "\n".join(lines) + "\n"}


def looks_within(seeds: int) -> tuple[int, ...]:
    """The usual looks up to a number of seeds, which is the last one."""
    most = max(seeds, FEWEST_SEEDS)  # fewer decide nothing
    return (*(look for look in LOOKS if look < most), most)
