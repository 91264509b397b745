"""Files of claims about what does not exist are refused before anything is trained."""

from pathlib import Path

import pytest

from bench.analysis.claim_files import ClaimError, published_files, read_texts
from bench.harness.kept import keep, kept
from bench.harness.options import Options, resolve
from bench.harness.own_claims import check

A, B = "compact-intermediate-add-maxpool", "compact-intermediate-concat-maxpool"

MINE = f"""
[settings]
"mine" = ["standard", "tuned/*"]
[[claims]]
name = "first"
words = "one is better"
[[claims.tests]]
estimand = "accuracy"
comparisons = ["{A} is better than {B}", "wide-thermal-maxpool is better than {B}"]
"""


def resolved(folder: Path, text: str = MINE, name: str = "mine.toml", models: tuple[str, ...] = ()) -> Options:
    file = folder / name
    file.write_text(text)
    return resolve(root=folder, device="cpu", claims=[str(file)], compare_models=models)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"standard"', '"stnadard"', "there is no study 'stnadard'; correct it, or load its plug-in"),
        ("tuned/*", "tuned", "the study 'tuned' has no variant ''; give one of 'tuned/lr"),
        ("tuned/*", "tuned/lr 7", "the study 'tuned' has no variant 'lr 7'"),
        (A, A.replace("add", "ad"), f"there is no model '{A.replace('add', 'ad')}'; correct it, .* is it '{A}'"),
        (A, f"raw:{A}", f"'raw:{A}': none of its studies has a variant 'raw'"),
        (A, "field-intermediate-add-maxpool", r"none of its studies \(standard, tuned\) trains field-inter"),
    ],
)
def test_what_does_not_exist_is_refused_with_file_and_remedy(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert old in MINE
    with pytest.raises(ClaimError, match=rf"mine\.toml, claim mine/first: {message}"):
        resolved(tmp_path, MINE.replace(old, new, 1))


def test_questions_name_models_that_exist(tmp_path: Path) -> None:
    question = f"""
[[questions]]
question = "Which?"
claims = ["mine/first"]
comparisons = [{{ claim = "mine/first", estimand = "loss", comparison = "{A} is better than {B}" }}]
"""
    assert resolved(tmp_path, MINE + question)
    with pytest.raises(ClaimError, match=r"mine\.toml, question 'Which\?': there is no model 'nobody'"):
        resolved(tmp_path, MINE + question.replace(B, "nobody"))


def test_the_published_claims_name_what_exists() -> None:
    check(read_texts(published_files()))


def test_claims_about_two_models_are_beside_those_of_a_file(tmp_path: Path) -> None:
    field = "field-intermediate-add-maxpool"
    found = resolved(tmp_path, MINE.replace(A, field), models=(field, B))
    names = {claim.name for claim in found.claims.claims}
    assert {"mine/first", f"{field}-or-{B}/loss", f"{field}-or-{B}/accuracy"} < names


def test_a_file_of_any_name_is_kept_where_it_is_found_again(tmp_path: Path) -> None:
    keep(tmp_path, resolved(tmp_path, name="mine.claims").own_claims)
    (path,) = kept(tmp_path)
    assert path.name == "mine.toml"
    assert path.read_text() == MINE
