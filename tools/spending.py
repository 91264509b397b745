"""Compares ways to spend the 5% over looks at 10, 15 and 20 seeds; docs/evidence.md shows the result.

OMP_NUM_THREADS=1 python -m tools.spending         # 10 minutes on one core

For each spending function: power and seeds of normal differences by sign flips over RANDOM of the 2^20 patterns;
the runs saved at a power of 0.9 and 0.99, against the number of seeds that has the same power at a single look;
and how often models that differ by a large margin are called equivalent at the first look. Sign flips promise less
than 5% there for differences that spread evenly to both sides of their mean; these are lopsided (exponential).

Then the false alarms of the corrected resampled t test over all looks, by reported pairs per training pair, as the
bounds are those of independent normal differences.

S sequences, P patterns.
"""

import argparse
from collections.abc import Callable, Mapping
from itertools import product

import numpy as np
from scipy import stats

from bench.analysis.sequential import LOOKS, levels, spent
from bench.analysis.statistics import ALPHA, FEWEST_SEEDS, Floats

EFFECTS = (0.75, 0.8, 0.85, 1.0, 1.1, 1.2)
"""In standard deviations of the differences."""

POWERS = (0.9, 0.99)
RANDOM = 2**14
LOPSIDED = 60_000
RESAMPLED = 200_000
RATIOS = (0.01, 0.05, 0.25, 1.0)
"""Reported pairs per training pair, where seeds divide the same pairs."""

Spending = Callable[[float], float]
"""The share of all seeds seen -> how much of ALPHA may be spent."""


def power_family(rho: float) -> Spending:
    """Kim and DeMets 1987."""
    return lambda share: ALPHA * share**rho


def gamma_family(gamma: float) -> Spending:
    """Hwang, Shih and DeCani 1990."""
    return lambda share: ALPHA * float(np.expm1(-gamma * share) / np.expm1(-gamma))


FUNCTIONS: Mapping[str, Spending] = {
    "O'Brien and Fleming's type (in use)": spent,
    **{f"power family, rho = {rho:g}": power_family(rho) for rho in (1, 1.5, 2, 2.5, 3)},
    **{f"gamma family, gamma = {gamma:g}": gamma_family(gamma) for gamma in (-4, -3, -2, -1, 1)},
}


def stop(sums: Floats, allowed: Spending) -> int:
    """The number of the look that rejects, from 1 on, or 0; absolute sums, (looks, P), those observed last."""
    waiting = np.ones(sums.shape[1], dtype=bool)
    for number, (look, of_look) in enumerate(zip(LOOKS, sums, strict=True), 1):
        more = int(allowed(look / LOOKS[-1]) * waiting.size + 1e-9) - int((~waiting).sum())
        if more <= 0:
            continue
        bound = np.partition(of_look[waiting], -more - 1)[-more - 1]
        if of_look[-1] > bound * (1 + 1e-12):
            return number
        waiting &= of_look <= bound * (1 + 1e-12)
    return 0


def measure(effect: float, sequences: int) -> tuple[dict[str, tuple[float, float]], Floats]:
    """By function: power, and seeds on average. And the power of a single look at each number of seeds, (n,)."""
    rng = np.random.default_rng(0)
    signs = rng.choice((-1.0, 1.0), size=(RANDOM, LOOKS[-1]))
    signs[-1] = 1.0
    looks: dict[str, list[int]] = {name: [] for name in FUNCTIONS}
    single = np.zeros(LOOKS[-1])
    for differences in rng.normal(effect, 1, size=(sequences, LOOKS[-1])):
        sums = np.abs(np.cumsum(signs * differences, axis=1))
        single += (sums >= sums[-1] * (1 - 1e-12)).mean(axis=0) <= ALPHA
        for name, allowed in FUNCTIONS.items():
            looks[name].append(stop(sums[:, [look - 1 for look in LOOKS]].T, allowed))
    seeds = np.array([LOOKS[-1], *LOOKS])
    return {
        name: (float(np.mean(found)), float(seeds[of_look].mean()))
        for name, of_look in looks.items()
        for found in [np.array(of_look) > 0]
    }, single / sequences


def fixed(power: float, single: Floats) -> float:
    """The number of seeds, interpolated, with this power at a single look."""
    return float(np.interp(power, single[FEWEST_SEEDS - 1 :], np.arange(FEWEST_SEEDS, single.size + 1)))


def false_equivalence(allowed: Spending) -> float:
    """The share of sequences called equivalent at the first look, with exponential differences from the margin."""
    first = LOOKS[0]
    flips = np.array(list(product((-1.0, 1.0), repeat=first)))
    most, found = int(allowed(first / LOOKS[-1]) * len(flips)), 0
    for x in np.array_split(1 - np.random.default_rng(0).exponential(size=(LOPSIDED, first)), 20):
        found += int(((x @ flips.T >= x.sum(axis=1, keepdims=True) - 1e-9).sum(axis=1) <= most).sum())
    return found / LOPSIDED


def resampled_alarms(ratio: float, looks: tuple[int, ...]) -> float:
    """The share of sequences of equal models that the two-sided corrected t test tells apart at any look."""
    rng, common = np.random.default_rng(0), ratio / (1 + ratio)
    x = np.sqrt(1 - common) * rng.normal(size=(RESAMPLED, looks[-1]))
    x += np.sqrt(common) * rng.normal(size=(RESAMPLED, 1))
    crossed = np.zeros(RESAMPLED, dtype=bool)
    for n, level in zip(looks, levels(looks), strict=True):
        seen = x[:, :n]
        t = np.abs(seen.mean(axis=1)) / (seen.std(axis=1, ddof=1) * np.sqrt(1 / n + ratio))
        crossed |= 2 * np.maximum(stats.t.sf(t, n - 1), 0.5**n) <= level
    return float(crossed.mean())


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--sequences", type=int, default=8_000, help="simulated ones per difference")
    measured = [measure(effect, arguments.parse_args().sequences) for effect in EFFECTS]
    print(
        "| spending function | saved at power 0.9 (%) | at 0.99 (%) | power at 0.8 (%) | at 1 (%) "
        "| seeds at 0.8 | at 1 | lopsided, by the margin: equivalent (%) |"
    )
    print("| --- |" + " ---: |" * 7)
    for name, allowed in FUNCTIONS.items():
        power, seeds = np.array([of_effect[name] for of_effect, _ in measured]).T
        alone = np.array([fixed(p, single) for p, (_, single) in zip(power, measured, strict=True)])
        saved = np.interp(
            stats.logistic.ppf(POWERS), stats.logistic.ppf(np.minimum(power, 0.9999)), 1 - seeds / alone
        )
        shown = [EFFECTS.index(effect) for effect in (0.8, 1.0)]
        cells = [*(100 * saved), *(100 * power[shown]), *seeds[shown], 100 * false_equivalence(allowed)]
        print(f"| {name} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |", flush=True)
    print("\n| looks | " + " | ".join(f"{ratio:g} (%)" for ratio in RATIOS) + " |")
    print("| --- |" + " ---: |" * len(RATIOS))
    for looks in (LOOKS, (6, 10, 15)):
        alarms = [100 * resampled_alarms(ratio, looks) for ratio in RATIOS]
        print(f"| {', '.join(map(str, looks))} | " + " | ".join(f"{share:.1f}" for share in alarms) + " |")


if __name__ == "__main__":
    main()
