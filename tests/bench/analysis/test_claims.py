"""Every published claim has a hypothesis, and every hypothesis is a published claim."""

from itertools import chain

import pytest

from bench.analysis.claims import CONTRADICTIONS, HYPOTHESES, SETTINGS, STUDIES_NEEDED, Hypothesis, Part
from bench.analysis.published import published_studies, read_published
from bench.analysis.quantities import SHIFT_CONSISTENCY, SHIFT_SIMILARITY, ZERO_GRADIENTS
from bench.probes.corruptions import corruptions_of
from bench.registry import STUDIES, find_study
from fusion_models import MODELS
from tests.bench.samples import small_dataset


def test_claims_and_hypotheses_are_one_to_one() -> None:
    claims = [(study, n + 1) for study in published_studies() for n in range(len(read_published(study)["claims"]))]
    assert sorted((claim.study, claim.number) for claim in HYPOTHESES) == sorted(claims)
    assert len(claims) == 17


@pytest.mark.parametrize("claim", HYPOTHESES, ids=lambda claim: claim.name)
def test_a_claim_compares_different_models_in_something_with_a_reason(claim: Hypothesis) -> None:
    assert claim.parts
    assert claim.text in read_published(claim.study)["claims"]
    for part in claim.parts:
        assert part.a != part.b
        assert part.quantity.metric.margin >= 0
        assert part.quantity.metric.reason
    assert len(set(claim.parts)) == len(claim.parts)


def models_of(study: str) -> set[str]:
    sources = chain.from_iterable(SETTINGS[study].values())
    return {model for source, _ in sources for model in find_study(source).models}


ALL_PARTS = [(claim.study, part) for claim in HYPOTHESES for part in claim.parts] + [
    part for question in CONTRADICTIONS for part in question.parts
]


@pytest.mark.parametrize(("study", "part"), ALL_PARTS)
def test_the_models_of_a_comparison_are_trained_under_its_protocol(study: str, part: Part) -> None:
    for model in (part.a, part.b):
        assert model in MODELS
        first = next(iter(SETTINGS[study].values()))
        assert model in {name for source, _ in first for name in find_study(source).models}
        assert model in models_of(study)


def test_sources_of_one_setting_share_their_protocol() -> None:
    for settings in SETTINGS.values():
        for sources in settings.values():
            protocols = [find_study(study).protocols[variant] for study, variant in sources]
            assert all(protocol == protocols[0] for protocol in protocols)


def test_the_studies_needed_train_and_probe_all_that_claims_compare() -> None:
    assert set(published_studies()) <= set(STUDIES_NEEDED) <= set(STUDIES)
    corruptions = {corruption.name for corruption in corruptions_of(small_dataset())}
    for claim in HYPOTHESES:
        probes = set(chain.from_iterable(find_study(source).probes for source in _sources(claim)))
        for part in claim.parts:
            if part.quantity in (ZERO_GRADIENTS, SHIFT_CONSISTENCY, SHIFT_SIMILARITY):
                assert "features" in probes
            corruption = part.quantity.metric.name.partition("accuracy lost under ")[2]
            if corruption:
                assert corruption in corruptions
                assert "robustness" in probes


def _sources(claim: Hypothesis) -> list[str]:
    sources = chain.from_iterable(SETTINGS[claim.study].values())
    return [source for source, _ in sources if source in STUDIES_NEEDED]


def test_contradictions_are_between_published_claims() -> None:
    names = {claim.name for claim in HYPOTHESES}
    for question in CONTRADICTIONS:
        assert question.question.endswith("?")
        assert len(question.claims) == 2
        assert set(question.claims) <= names
        assert len({study for study, _ in question.parts}) > 1
