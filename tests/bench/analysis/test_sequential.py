"""Looks of paired runs: bounds as published, tests against enumeration, and decisions that later seeds keep."""

from itertools import product
from math import comb, nan, sqrt

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from bench.analysis import sequential
from bench.analysis.sequential import (
    Look,
    deciding,
    levels,
    rarely_worse,
    resampled_p,
    resampled_t,
    sign_flips,
    spent,
)

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(0.4, 1, size=10)
TIED = np.array([0.5, 0.5, -0.5, 0.0, 1.0, 0.5, 1.0, 0.0, 0.5, 0.5])
WON = np.array([1, 1, 0, 1, -1, 1, 0, 1, 1, 1], dtype=float)
ALL = (NORMAL, TIED, WON)


@pytest.mark.parametrize(
    ("looks", "bounds"),
    [
        # The z bounds of R's gsDesign (sfLDOF) and ldbounds (iuse = 1) for equal steps, one-sided 2.5%.
        (2, (2.9626, 1.9686)),
        (3, (3.7103, 2.5114, 1.9930)),
        (5, (4.8769, 3.3570, 2.6803, 2.2898, 2.0310)),
    ],
)
def test_levels_are_those_of_the_published_bounds(looks: int, bounds: tuple[float, ...]) -> None:
    found = levels(tuple(range(1, looks + 1)), alpha=0.025, two_sided=False)
    assert [-stats.norm.ppf(level) for level in found] == pytest.approx(bounds, abs=1e-4)


@pytest.mark.parametrize("two_sided", [True, False])
def test_levels_keep_what_may_be_spent_on_simulated_sums(two_sided: bool) -> None:
    looks, tables = (10, 15, 20), 100_000
    sums = np.cumsum(np.random.default_rng(1).normal(size=(tables, 20)), axis=1)[:, [look - 1 for look in looks]]
    z = sums / np.sqrt(looks)
    p = 2 * stats.norm.sf(np.abs(z)) if two_sided else stats.norm.sf(z)
    crossed = np.maximum.accumulate(p <= np.array(levels(looks, two_sided=two_sided)), axis=1).mean(axis=0)
    expected = [spent(look / 20) for look in looks]
    assert crossed == pytest.approx(expected, abs=4 * sqrt(0.05 / tables))


def test_what_is_spent_grows_from_nothing_to_alpha() -> None:
    assert [spent(0.0), spent(1.0)] == pytest.approx([0.0, 0.05])
    assert spent(0.5) == pytest.approx(2 * stats.norm.sf(stats.norm.isf(0.025) / sqrt(0.5)))
    assert spent(0.5, alpha=0.01) < spent(0.75, alpha=0.01) < 0.01


def test_a_first_look_too_early_to_reject_has_level_zero() -> None:
    assert levels((1, 100)) == pytest.approx((0.0, 0.05))


@pytest.mark.parametrize("x", ALL)
@pytest.mark.parametrize("two_sided", [True, False])
def test_a_single_look_is_scipys_permutation_test(x: np.ndarray, two_sided: bool) -> None:
    (look,) = sign_flips(x, (10,), two_sided=two_sided)
    reference = stats.permutation_test(
        (x,), np.sum, permutation_type="samples", alternative="two-sided" if two_sided else "greater"
    )
    assert look.p == pytest.approx(min(1.0, reference.pvalue))
    assert look.crossed == (look.p <= 0.05)


def by_enumeration(x: np.ndarray, looks: tuple[int, ...], *, two_sided: bool) -> list[bool]:
    """Whether each look rejects: whole patterns are rejected, largest sums first, as far as alpha allows."""
    patterns = [tuple(signs) for signs in product((-1, 1), repeat=len(x))]
    rejected: set[tuple[int, ...]] = set()
    crossed = []
    for look in looks:
        sums = {
            signs: round(abs(total) if two_sided else total, 9)
            for signs in patterns
            if signs not in rejected
            for total in [sum(s * v for s, v in zip(signs[:look], x[:look], strict=True))]
        }
        allowed = spent(look / looks[-1]) * len(patterns)
        for value in sorted(set(sums.values()), reverse=True):
            largest = {signs for signs, total in sums.items() if total == value}
            if len(rejected) + len(largest) > allowed + 1e-6:
                break
            rejected |= largest
        crossed.append((1,) * len(x) in rejected)
    return crossed


@pytest.mark.parametrize("x", [*ALL, -NORMAL, np.abs(NORMAL), np.full(10, 2.0), np.arange(10.0)])
@pytest.mark.parametrize("two_sided", [True, False])
def test_looks_are_those_of_a_brute_enumeration(x: np.ndarray, two_sided: bool) -> None:
    looks = (6, 8, 10)
    found = np.maximum.accumulate([look.crossed for look in sign_flips(x, looks, two_sided=two_sided)])
    assert found.tolist() == by_enumeration(x, looks, two_sided=two_sided)


@pytest.mark.parametrize("x", [NORMAL, TIED, WON, RNG.standard_t(2, size=10)])
@pytest.mark.parametrize("two_sided", [True, False])
def test_of_all_sign_patterns_at_most_alpha_cross_at_any_look(x: np.ndarray, two_sided: bool) -> None:
    """The chance of a false alarm given the absolute differences: a count of all cases, not an estimate."""
    looks = (6, 7, 8)
    crossed = [
        any(look.crossed for look in sign_flips(x[:8] * signs, looks, two_sided=two_sided))
        for signs in product((-1, 1), repeat=8)
    ]
    assert 0 < np.mean(crossed) <= 0.05


def test_wins_and_losses_give_mcnemars_exact_test() -> None:
    # 7 wins and 1 loss of 10; McNemar's table counts only the pairs that differ.
    (look,) = sign_flips(WON, (10,))
    assert look.p == pytest.approx(mcnemar([[0, 7], [1, 0]], exact=True).pvalue)


def test_by_hand() -> None:
    # Ten equal differences: of 1024 patterns two are as far from zero, and spent(1/2) = 0.0056 allows five.
    assert sign_flips([0.1] * 10, (10, 20)) == [Look(10, 2 / 1024, 2 / 1024, crossed=True)]
    # One of ten has the other sign: 2 + 20 patterns of 1024, more than 5.
    (look,) = sign_flips([0.1] * 9 + [-0.1], (10, 20))
    assert look == Look(10, 22 / 1024, 2 / 1024, crossed=False)


def test_five_seeds_decide_nothing_whatever_they_show() -> None:
    assert not any(look.crossed for look in sign_flips([5.0] * 5, (5,)))
    assert sign_flips([5.0] * 6, (6,))[0].crossed
    assert sign_flips([5.0] * 5, (5,), two_sided=False)[0].crossed  # 1 / 32


@pytest.mark.parametrize(
    ("looks", "can"),
    [((6, 10, 15), [10, 15]), ((10, 15, 20), [10, 15, 20]), ((6,), [6]), ((6, 7, 8, 16), [8, 16])],
)
def test_some_looks_are_too_early_to_decide_anything(looks: tuple[int, ...], can: list[int]) -> None:
    assert deciding(looks) == can
    found = sign_flips(np.ones(looks[-1]), looks, two_sided=False)  # clearer than any
    assert next(look.n for look in found if look.crossed) == can[0]
    clear = 1 + 1e-6 * NORMAL[: can[0]]
    assert [look.crossed for look in resampled_t(clear, looks, 0.25, two_sided=False)][-1]
    assert not any(look.crossed for look in resampled_t(clear, looks, 0.25, two_sided=False)[:-1])


def test_no_difference_never_crosses() -> None:
    for two_sided in (True, False):
        assert [look.crossed for look in sign_flips(np.zeros(20), (10, 15, 20), two_sided=two_sided)] == [
            False
        ] * 3
        assert sign_flips(np.zeros(10), (10,), two_sided=two_sided)[0].p == 1
    assert resampled_p(np.zeros(10), 0.25) == 1


@pytest.mark.parametrize(
    ("looks", "margin", "enough"), [((6, 7, 8), 0.4, True), ((6, 8), 0.6, True), ((8,), 0.31, False)]
)
def test_a_share_of_the_margin_is_ruled_out_in_at_most_alpha_of_cases(
    looks: tuple[int, ...], margin: float, enough: bool
) -> None:
    """By the probabilities of all sequences in which A alone fails with the margin as probability."""
    chance = 0.0
    for failed in product((0, 1), repeat=looks[-1]):
        found = rarely_worse(-np.array(failed), looks, margin)
        assert [look.p for look in found] == pytest.approx(
            [
                sum(comb(n, k) * margin**k * (1 - margin) ** (n - k) for k in range(sum(failed[:n]) + 1))
                for n in looks
            ]
        )
        if any(look.crossed for look in found):
            chance += margin ** sum(failed) * (1 - margin) ** (len(failed) - sum(failed))
    assert chance <= 0.05
    assert (chance > 0) == enough  # 0.69 ** 8 = 0.051


def test_looks_not_reached_are_left_out() -> None:
    assert [look.n for look in sign_flips(NORMAL[:8], (6, 8, 10))] == [6, 8]
    assert sign_flips(NORMAL[:5], (6, 8)) == resampled_t(NORMAL[:5], (6, 8), 0.25) == sign_flips([], (6,)) == []


def test_one_pair_says_nothing() -> None:
    assert sign_flips([3.0], (1, 10))[0].p == 1
    assert not sign_flips([3.0], (1,), two_sided=False)[0].crossed
    assert resampled_p([3.0], 0.25) == 1
    assert not resampled_t([3.0], (1, 10), 0.25)[0].crossed


@pytest.mark.parametrize("looks", [(6, 8, 10), (10, 15, 25)])
@pytest.mark.parametrize("scale", [1.0, 1e14])
def test_later_seeds_change_no_earlier_look(
    looks: tuple[int, ...], scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequential, "RANDOM_PATTERNS", 2**10)
    x = np.random.default_rng(2).normal(0.8, 1, size=looks[-1])
    x[looks[0] :] *= scale  # the later differences may be of any size
    everything = sign_flips(x, looks)
    for reached in (1, 2, 3):
        assert sign_flips(x[: looks[reached - 1]], looks) == everything[:reached]


def test_units_do_not_matter() -> None:
    assert sign_flips(NORMAL * 1e-9, (6, 10)) == sign_flips(NORMAL, (6, 10)) == sign_flips(NORMAL * 1e9, (6, 10))


def test_pairs_that_say_nothing_are_those_without_a_difference() -> None:
    gaps = np.where(np.arange(10) % 4 == 1, nan, NORMAL)
    assert sign_flips(gaps, (6, 10)) == sign_flips(np.nan_to_num(gaps), (6, 10))
    (look,) = sign_flips(gaps, (10,))
    assert look.p == pytest.approx(sign_flips(gaps[~np.isnan(gaps)], (7,))[0].p)
    assert resampled_p(gaps, 0.25) == resampled_p(gaps[~np.isnan(gaps)], 0.25)


def test_random_patterns_are_close_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    (exact,) = sign_flips(NORMAL, (10,))
    monkeypatch.setattr(sequential, "MOST_EXACT", 5)
    (random,) = sign_flips(NORMAL, (10,))
    assert random.p == pytest.approx(exact.p, abs=0.005)
    np.random.seed(7)  # noqa: NPY002 - the state that must not matter
    assert sign_flips(NORMAL, (10,)) == [random]


@pytest.mark.parametrize("two_sided", [True, False])
def test_the_uncorrected_test_is_scipys_t_test(two_sided: bool) -> None:
    reference = stats.ttest_1samp(NORMAL, 0, alternative="two-sided" if two_sided else "greater")
    assert resampled_p(NORMAL, 0.0, two_sided=two_sided) == pytest.approx(reference.pvalue)


def test_the_correction_by_hand() -> None:
    # t = 2 / (1 * sqrt(1/3 + 1/4)) = 2.6186 with 2 degrees of freedom.
    assert resampled_p([1, 2, 3], 0.25, two_sided=False) == pytest.approx(
        max(stats.t.sf(2 / sqrt(7 / 12), 2), 0.125)
    )
    assert resampled_p([1, 2, 3] * 4, 0.25) > resampled_p([1, 2, 3] * 4, 0.0)


@pytest.mark.parametrize("x", [[0.2] * 10, [0.2 + 1e-17 * i for i in range(10)]])
def test_differences_without_spread_are_no_surer_than_their_signs(x: list[float]) -> None:
    assert resampled_p(x, 0.25) == 2 / 2**10
    assert resampled_p(x, 0.25, two_sided=False) == 1 / 2**10
    assert resampled_p([-v for v in x], 0.25, two_sided=False) > 0.99
    assert resampled_p([0.2] * 5, 0.25) > 0.05


def test_resampled_looks_use_the_levels_of_their_number() -> None:
    x = RNG.normal(1.0, 1, size=20)
    found = resampled_t(x, (10, 15, 20), 0.25)
    assert [look.level for look in found] == list(levels((10, 15, 20)))
    assert [look.p for look in found] == [resampled_p(x[:n], 0.25) for n in (10, 15, 20)]
    assert [look.crossed for look in found] == [look.p <= look.level for look in found]
