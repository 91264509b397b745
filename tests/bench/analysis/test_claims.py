"""Files of claims: those that ship here, what is read from them, and what is refused."""

from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from bench.analysis.claim_files import ClaimError, published_claims, read_claims, with_published
from bench.analysis.claims import BEST, TIMES, Claim, Part, Relation
from bench.analysis.published import published_folder, published_studies, read_published
from bench.analysis.quantities import ACCURACY, SHIFT_CONSISTENCY, SHIFT_SIMILARITY, ZERO_GRADIENTS
from bench.analysis.sequential import LOOKS
from bench.registry import CORRUPTIONS, STUDIES, find_study
from fusion_models.zoo import find_model, with_single_modalities

PUBLISHED = published_claims()


def test_every_published_claim_is_read_once() -> None:
    published = [
        f"{study}/{n + 1}" for study in published_studies() for n in range(len(read_published(study)["claims"]))
    ]
    numbered = [claim.name for claim in PUBLISHED.claims if claim.name.rpartition("/")[2].isdigit()]
    assert sorted(numbered) == sorted(published)
    assert len(published) == 17
    assert len(PUBLISHED.claims) > len(published)  # what the texts claim besides
    for claim in PUBLISHED.claims:
        study, _, number = claim.name.rpartition("/")
        if number.isdigit():
            assert claim.text == read_published(study)["claims"][int(number) - 1]


@cache
def _trained(study: str, second: str) -> list[str]:
    """The models that a study trains on data of RGB and a second modality."""
    specs = [find_model(model) for model in find_study(study).models]
    return [spec.name for spec in with_single_modalities(specs, ("rgb", second))]


@pytest.mark.parametrize("claim", PUBLISHED.claims, ids=lambda claim: claim.name)
def test_a_claim_compares_models_that_its_studies_train(claim: Claim) -> None:
    assert claim.looks == ((6, 10, 15) if claim.name.startswith("tuned-field/") else LOOKS)
    for part in claim.parts:
        assert part.quantity.metric.reason
        assert part.quantity.metric.higher_is_better is not None
    sources = list(chain.from_iterable(claim.settings.values()))
    first = next(iter(claim.settings.values()))
    for name in claim.models:
        variant, _, model = name.rpartition(":")
        assert any(
            model in _trained(study, "depth" if "-depth-" in model else "lidar") and variant in ("", of_study)
            for study, of_study in first
        )
    for study, variant in sources:
        assert variant in (*find_study(study).protocols, BEST)


def test_sources_of_one_setting_share_their_protocol() -> None:
    for claim in PUBLISHED.claims:
        if any(":" in model for model in claim.models):
            continue  # it compares protocols
        for sources in claim.settings.values():
            protocols = [find_study(study).protocols[variant] for study, variant in sources if variant != BEST]
            assert all(protocol == protocols[0] for protocol in protocols)


def test_the_studies_that_are_run_train_and_probe_all_that_claims_compare() -> None:
    assert set(published_studies()) <= set(PUBLISHED.studies) <= set(STUDIES)
    for claim in PUBLISHED.claims:
        studies = {study for study, _ in chain.from_iterable(claim.settings.values())} & set(PUBLISHED.studies)
        probes = set(chain.from_iterable(find_study(study).probes for study in studies))
        for part in claim.parts:
            if part.quantity in (ZERO_GRADIENTS, SHIFT_CONSISTENCY, SHIFT_SIMILARITY):
                assert "features" in probes
            if part.manipulation:
                assert "robustness" in probes
                if part.manipulation.corruption in CORRUPTIONS:
                    levels = CORRUPTIONS[part.manipulation.corruption].levels
                    assert set(part.manipulation.levels) <= set(levels)


def test_questions_are_between_published_claims() -> None:
    names = {claim.name for claim in PUBLISHED.claims}
    for question in PUBLISHED.questions:
        assert question.question.endswith("?")
        assert len(question.claims) == 2
        assert set(question.claims) <= names
        assert len({study.partition("/")[0] for study, _ in question.parts}) > 1


MINE = """
looks = [6, 9]
run = ["my-study"]

[settings]
"mine" = ["my-study", "other/raw"]

[[claims]]
name = "first"
words = "one is better"
reading = "by accuracy"
[[claims.tests]]
estimand = "accuracy"
margin = 0.05
reason = "by hand"
comparisons = ["one is better than two", "one is not worse than raw:three"]

[[claims]]
name = "second"
words = "the difference is larger"
[[claims.tests]]
estimand = "loss ratio"
comparisons = ["one over two is as good as three over four"]
[[claims.tests]]
estimand = "accuracy lost under fog"
levels = [1.0, 2.0]
above_chance = 0.2
comparisons = ["one is better than two"]

[[questions]]
question = "Which?"
claims = ["mine/first", "mine/second"]
comparisons = [{ claim = "mine/first", estimand = "loss", comparison = "one is better than two" }]
"""


def written(folder: Path, text: str = MINE) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_ones_own_by_eye(tmp_path: Path) -> None:
    claims = read_claims([written(tmp_path)])
    first, second = claims.claims
    assert (first.name, first.text, first.reading) == ("mine/first", "one is better", "by accuracy")
    assert (first.looks, first.settings) == ((6, 9), {"mine": (("my-study", ""), ("other", "raw"))})
    quantity = ACCURACY.with_margin(0.05, "by hand")
    assert first.parts == (
        Part("one", Relation.BETTER, "two", quantity),
        Part("one", Relation.NOT_WORSE, "raw:three", quantity),
    )
    assert second.parts[0].models == ("one", "two", "three", "four")
    fog = second.parts[1].manipulation
    assert fog is not None
    assert (fog.corruption, fog.levels, fog.least_drop, fog.above_chance) == ("fog", (1.0, 2.0), 0.05, 0.2)
    assert claims.studies == ("my-study",)
    (question,) = claims.questions
    assert question.parts[0][1].models == ("one", "two")


def test_claims_about_costs_alone_have_further_sources(tmp_path: Path) -> None:
    text = MINE.replace('run = ["my-study"]', 'run = ["my-study"]\ntimes = ["costs"]')
    first, second = read_claims([written(tmp_path, text)]).claims
    assert list(first.settings) == list(second.settings) == ["mine"]
    first, _ = read_claims(
        [written(tmp_path, text.replace('estimand = "accuracy"', 'estimand = "epoch time"'))]
    ).claims
    assert first.settings == {"mine": (("my-study", ""), ("other", "raw")), TIMES: (("costs", ""),)}


def test_records_hold_the_hashes_of_the_claims_they_are_evidence_for(tmp_path: Path) -> None:
    claims = read_claims([written(tmp_path)])
    first, second = claims.claims
    assert claims.hashes(("my-study", ""), "one") == {first.name: first.sha256, second.name: second.sha256}
    assert claims.hashes(("other", "raw"), "three") == {first.name: first.sha256, second.name: second.sha256}
    assert claims.hashes(("my-study", ""), "three") == {second.name: second.sha256}
    assert claims.hashes(("my-study", "epochs=3"), "one") == claims.hashes(("my-study", ""), "five") == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("looks = [6, 9]", "looks = [6, 10]"),
        ("margin = 0.05", "margin = 0.06"),
        ("by hand", "by eye"),
        ("one is better than two", "two is better than one"),
        ('words = "one is better"', 'words = "one is best"'),
        ("by accuracy", "by its accuracy"),
        ('"other/raw"', '"other/scaled"'),
    ],
)
def test_whatever_a_claim_declares_changes_its_hash(old: str, new: str, tmp_path: Path) -> None:
    before = read_claims([written(tmp_path)]).claims[0].sha256
    after = read_claims([written(tmp_path, MINE.replace(old, new, 1))]).claims[0].sha256
    assert len(before) == 12
    assert before != after


def test_comments_and_layout_do_not_change_a_hash(tmp_path: Path) -> None:
    before = [claim.sha256 for claim in read_claims([written(tmp_path)]).claims]
    again = read_claims([written(tmp_path, f"# mine\n{MINE.replace('[6, 9]', '[6,  9]  # two')}")]).claims
    assert [claim.sha256 for claim in again] == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("looks = [6, 9]", "looks = [5, 9]", "the first at least 6"),
        ("looks = [6, 9]", "looks = [9, 9]", "increasing"),
        ("looks = [6, 9]", "look = [6, 9]", "unknown field `look`"),
        ("looks = [6, 9]", "looks = 6, 9", "not a file of claims"),
        ('[settings]\n"mine" = ["my-study", "other/raw"]', "", "no settings"),
        ('name = "first"', 'name = "second"', "declared twice"),
        ('name = "first"\nwords = "one is better"', "number = 1", "number 1, but mine.json has 0"),
        ('words = "one is better"\n', "", "either a number, or a name and words"),
        (
            'estimand = "accuracy"',
            'estimand = "beauty"',
            "mine/first: 'beauty' is not an estimand; there are learned",
        ),
        ('estimand = "accuracy"', 'estimand = "accuracy"\nlevels = [1.0]', "'accuracy' has no levels"),
        ("levels = [1.0, 2.0]", "levels = [0.0]", "levels above 0"),
        ("levels = [1.0, 2.0]", "levels = [1.0, nan]", "levels above 0"),
        ("accuracy lost under fog", "accuracy lost under ", "a corruption's name"),
        ("above_chance = 0.2", "above_chance = 20", "are shares"),
        ('reason = "by hand"', "", "a margin needs a reason"),
        ('"by hand"', '" "', "a margin needs a reason"),
        ("margin = 0.05\n", "", "a reason a margin"),
        ("margin = 0.05", "margin = -0.05", "margin = -0.05 of accuracy; give a share of 1"),
        ("margin = 0.05", "margin = 5", "margin = 5 of accuracy; give a share of 1"),
        ("margin = 0.05", "margin = nan", "margin = nan of accuracy"),
        ("margin = 0.05", "margin = 0", "'one is not worse than raw:three' cannot be tested with a margin of 0"),
        ('["my-study", "other/raw"]', "[]", "one without runs"),
        ('name = "first"', 'name = "first"\nnumber = 1', "either a number, or a name and words"),
        ('words = "one is better"', "number = 1", "either a number, or a name and words"),
        ('words = "one is better"', 'words = "  "', "either a number, or a name and words"),
        ("one is better than two", "one beats two", "mine/first: 'one beats two' compares nothing"),
        ("one is better than two", "one is better than one", "compares nothing"),
        ("one is not worse than raw:three", "one is not worse than two", "one of them twice"),
        ("one over two is as good as three over four", "one over two is as good as three", "on both sides"),
        ("one over two is as good as", "one over one is as good as", "compares nothing"),
        ("loss ratio", "learned", "'learned' has none of, as a run has either learned or not; compare two models"),
        ('claims = ["mine/first", "mine/second"]', 'claims = ["mine/third"]', "there is no claim 'mine/third'"),
    ],
)
def test_what_cannot_be_used_is_refused_with_file_and_remedy(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert old in MINE
    path = written(tmp_path, MINE.replace(old, new, 1))
    with pytest.raises(ClaimError, match=r"mine\.toml") as error:
        read_claims([path])
    assert message in str(error.value)


def test_any_editor_on_any_system_can_write_a_file(tmp_path: Path) -> None:
    path = written(tmp_path)
    plain = [claim.sha256 for claim in read_claims([path]).claims]
    path.write_bytes(b"\xef\xbb\xbf" + MINE.replace("\n", "\r\n").encode())
    assert [claim.sha256 for claim in read_claims([path]).claims] == plain
    path.write_bytes(MINE.replace("one is better", "größer").encode("latin-1"))
    with pytest.raises(ClaimError, match=r"mine\.toml: not text in UTF-8 .*save it as UTF-8"):
        read_claims([path])
    written(tmp_path, MINE.replace('"one is better"', '"""one\nis   better"""'))
    assert read_claims([path]).claims[0].text == "one is better"


@pytest.mark.parametrize("text", ["", "# nothing yet", "looks = [6, 9]"])
def test_a_file_without_claims_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ClaimError, match=r"mine\.toml: declares no claims"):
        read_claims([written(tmp_path, text)])


def test_a_question_can_be_about_published_claims(tmp_path: Path) -> None:
    name = PUBLISHED.claims[0].name
    path = written(
        tmp_path, MINE.replace('claims = ["mine/first", "mine/second"]', f'claims = ["mine/first", "{name}"]')
    )
    for published in ("", "published = false\n"):
        own = {path: published + path.read_text()}
        if published:
            with pytest.raises(ClaimError, match=f"there is no claim {name!r}"):
                with_published(own)
        assert name in with_published(own, always=True).questions[-1].claims


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClaimError, match=r"absent\.toml: cannot be read"):
        read_claims([tmp_path / "absent.toml"])


def test_published_claims_are_beside_the_published_values() -> None:
    for study in published_studies():
        assert (published_folder() / f"{study}.toml").is_file()
