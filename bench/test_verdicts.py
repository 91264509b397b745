"""How often verdicts are wrong, and how many runs looks save, on simulated runs whose truth is known.

``pytest bench -k verdicts`` runs these alone. One round decides all sequences of seeds of a world. The number of
sequences depends on the profile; docs/evidence.md has tables of 2,000.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

from bench.config import FULL, QUICK, SMOKE
from bench.harness.session import Session

SEQUENCES = {SMOKE.name: 20, QUICK.name: 100, FULL.name: 2_000}
"""Simulated sequences of seeds, by profile."""

STANDARD_ERRORS = 4
"""By which a simulated share may exceed the true one: once in 30,000."""

EFFECTS = (0.8, 1.0, 1.25)
"""Differences in standard deviations, found in 91% to 99.9% of sequences."""


def test_verdicts_false_alarms(session: Session, benchmark: Any, show: Callable[[str], None]) -> None:
    """At most 5% of sequences of models that are alike end in a verdict for one, whatever the distribution."""
    from bench.analysis.calibration import RATIO, WORLDS, alike, divided, stops
    from bench.analysis.sequential import LOOKS
    from bench.analysis.statistics import ALPHA

    count = SEQUENCES[session.options.profile.name]
    worlds = {world: (alike(draw)[:count], 0.0) for world, draw in WORLDS.items()}
    worlds["normal, seeds divide the same pairs"] = divided()[:count], RATIO

    def decided() -> dict[str, float]:
        return {
            world: stops(differences, ratio=ratio).different_by(LOOKS[-1])
            for world, (differences, ratio) in worlds.items()
        }

    shares = benchmark.pedantic(decided, rounds=1)
    benchmark.extra_info.update(sequences=count, false_alarms=shares)
    for world, share in shares.items():
        show(f"{world:50} {share:.1%} false alarms")
    most = ALPHA + STANDARD_ERRORS * sqrt(ALPHA * (1 - ALPHA) / count)
    assert {world: share for world, share in shares.items() if share > most} == {}


def test_verdicts_runs_saved(session: Session, benchmark: Any, show: Callable[[str], None]) -> None:
    """Looks find differences with fewer runs than one look of equal power, on average over EFFECTS."""
    from bench.analysis.calibration import fixed_seeds, shifted, stops
    from bench.analysis.sequential import LOOKS

    count = SEQUENCES[session.options.profile.name]
    sequences = {effect: shifted(effect)[:count] for effect in EFFECTS}
    found = benchmark.pedantic(lambda: {effect: stops(x) for effect, x in sequences.items()}, rounds=1)
    saved = {}
    for effect, result in found.items():
        power = result.different_by(LOOKS[-1])
        saved[effect] = 1 - float(result.seeds.mean()) / fixed_seeds(sequences[effect], power)
        show(
            f"a difference of {effect:g} standard deviations: power {power:.1%}, {saved[effect]:.1%} of runs saved"
        )
    benchmark.extra_info.update(
        sequences=count, runs_saved={f"{effect:g}": share for effect, share in saved.items()}
    )
    assert sum(saved.values()) > 0  # of few sequences, those of one difference say little
