"""The intervals of the evaluation cover the truth of toys, or are said to be unknown. All toys are seeded."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.stats import norm, t

from rs3l.evaluate import student
from rs3l.evaluate.robustness import unbiased_change
from support.places import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks"))
import error_toys

TOYS = 600
FIRST, SECOND = (0.61, 0.80), (0.90, 0.995)
"""Bounds for 68.3 and 95.4 %; statistical errors of 600 toys are 1.9 and 0.9 %."""


@pytest.mark.parametrize("dof", [1.0, 1.3, 2.0, 3.7, 10.0, 49.0, 3000.0])
def test_student_is_scipys(dof: float) -> None:
    for x in (0.0, 0.01, 0.5, 1.0, 2.0, 5.0, 30.0):
        assert student.two_sided(-x, dof) == pytest.approx(2 * t.sf(x, dof), rel=1e-8)
    for p in (0.1, student.ONE_SIGMA, student.TWO_SIGMA, 0.999):
        assert student.quantile(p, dof) == pytest.approx(t.ppf(0.5 + p / 2, dof), rel=1e-8)


def test_infinitely_many_degrees_are_normal() -> None:
    assert student.two_sided(2.0, np.inf) == pytest.approx(2 * norm.sf(2.0))
    assert student.quantile(student.TWO_SIGMA, np.inf) == pytest.approx(2.0)
    assert student.deviate(2 * norm.sf(7.0)) == pytest.approx(7.0)
    assert 37 < student.deviate(0.0) < 38 and np.isnan(student.two_sided(1.0, np.nan))


@pytest.mark.parametrize("spread", [error_toys.EVEN, error_toys.SEEDS])
@pytest.mark.parametrize(("seeds", "repeats", "lenders"), [(1, 3, 2), (2, 3, 0), (3, 3, 0)])
def test_intervals_cover(spread: error_toys.Spread, seeds: int, repeats: int, lenders: int) -> None:
    found = list(error_toys.estimates(spread, seeds, repeats, lenders, TOYS, 1))
    first, second = error_toys.covered(found, 0.0)
    assert FIRST[0] < first < FIRST[1] and SECOND[0] < second < SECOND[1]
    assert {each.seed_spread for each in found} == {"borrowed" if lenders else "measured"}


@pytest.mark.parametrize(("seeds", "repeats"), [(1, 1), (1, 3)])
def test_one_pre_training_alone_has_no_interval(seeds: int, repeats: int) -> None:
    """What is known of the error covers far too little, so that no interval is made from it."""
    found = list(error_toys.estimates(error_toys.SEEDS, seeds, repeats, 0, TOYS, 1))
    assert error_toys.covered_once(found, 0.0)[1] < 0.7
    assert {each.seed_spread for each in found} == {"unknown"}
    assert {each.repeat_spread for each in found} == {"unknown" if repeats == 1 else "measured"}
    assert np.isnan([each.interval(student.ONE_SIGMA) for each in found]).all()
    assert np.isnan(error_toys.covered(found, 0.0)).all()


def test_an_interval_is_where_the_p_value_says() -> None:
    for each in error_toys.estimates(error_toys.EVEN, 2, 3, 0, 5, 1):
        low, high = each.interval(student.TWO_SIGMA)
        assert low < each.value < high
        assert student.two_sided((high - each.value) / each.error, each.dof) == pytest.approx(
            1 - student.TWO_SIGMA
        )


@pytest.mark.parametrize(("jets", "bias"), [(500, 0.12), (3500, 0.05)])
def test_rejections_of_few_jets_are_not_biased_and_covered(jets: int, bias: float) -> None:
    now, before = zip(*error_toys.rejections(jets, 3, 3, TOYS // 2, key=1), strict=True)
    means = [np.mean([each.value for each in kind]) for kind in ([x.exponential() for x in now], before)]
    assert abs(means[0] / error_toys.TRUTH - 1) < bias
    assert means[1] / error_toys.TRUTH - 1 > (0.25 if jets == 500 else 0.03), "1 / FPR itself is biased upwards"
    first, second = error_toys.covered(list(now), np.log(error_toys.TRUTH))
    assert FIRST[0] < first < FIRST[1] and SECOND[0] - 0.02 < second < SECOND[1]


def test_changes_of_a_rate_of_few_jets_are_not_biased() -> None:
    """Ten nominal jets pass, on average; the variant's rate is the same."""
    rng = np.random.default_rng(5)
    before, after = (rng.poisson(10.0, (3000, 1)) for _ in range(2))
    passing = np.concatenate([before, rng.poisson(before, (3000, 50))], axis=1).clip(1.0)
    varied = np.concatenate([after, rng.poisson(after, (3000, 50))], axis=1)
    plain = varied / passing - 1.0
    mended = [unbiased_change(change, jets)[0] for change, jets in zip(plain, passing, strict=True)]
    assert plain[:, 0].mean() > 0.08
    assert abs(np.mean(mended)) < 0.03
