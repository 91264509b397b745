"""A run's folder keeps its own claims, and every command judges them again as the run did."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bench.analysis.claim_files import read_claims
from bench.analysis.claims import Claims
from bench.cli import main
from bench.config import OptionError
from bench.harness.kept import claims_of, keep, kept
from bench.harness.merging import merge
from bench.harness.options import Options, resolve
from bench.harness.session import Session
from bench.records import append
from bench.records.reading import read_run
from bench.tables.tabulation import write_tables
from tests.bench.analysis.claim_runs import declared
from tests.bench.analysis.samples import around, seeds

A, B = (f"compact-late-concat-{embedder}" for embedder in ("maxpool", "strided"))

OWN = f"""
run = ["standard"]
[settings]
"ours" = ["standard"]
[[claims]]
name = "smaller"
words = "it has fewer parameters"
[[claims.tests]]
estimand = "parameters"
comparisons = ["{B} is better than {A}"]
"""


def options(folder: Path, **words: Any) -> Options:
    return resolve(root=folder.parent, results_dir=str(folder), device="cpu", profile="smoke", **words)


def comparing(folder: Path, a: str = A, b: str = B, max_seeds: str = "12") -> Options:
    return options(folder, compare_models=(a, b), until_decided=True, max_seeds=max_seeds)


def made(found: Options) -> Path:
    """The folder of a run of ten seeds in which the first model is the better one."""
    folder = found.results_dir
    (variant,) = {cell.config.variant for cell in found.cells()}
    models = found.models or (A, B)
    for model, losses in zip(models, (around(0.1, 10), around(0.5, 10)), strict=True):
        runs = seeds(model, "standard", losses=losses, variant=variant)
        folder.mkdir(exist_ok=True)
        for i, run in enumerate(declared(runs, found.claims)):
            append(folder / "records.jsonl", replace(run, profile="smoke", seed=51 + i, train_sha256=f"seed {i}"))
    keep(folder, found.own_claims)
    return folder


def names(claims: Claims) -> set[str]:
    return {claim.name for claim in claims.claims}


def test_the_tables_of_a_comparison_are_made_again_as_they_were(tmp_path: Path) -> None:
    found = comparing(tmp_path / "run")
    folder, page = made(found), tmp_path / "run" / "tables" / "claims.md"
    write_tables(read_run(folder).records, page.parent, claims=found.claims)
    before = page.read_text()
    page.unlink()
    assert main(["tables", str(folder)]) == 0
    assert page.read_text() == before
    assert f"{A} is better than {B} in loss" in before
    assert "holds (look 1 of 2)" in before
    assert "; exploratory" not in before
    assert "downsampling-compact" not in before  # no published claim


def test_the_page_and_a_merged_run_have_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Claims] = []
    monkeypatch.setattr("bench.report.writing.write_page", lambda _, __, claims: shown.append(claims))
    monkeypatch.setattr("bench.tables.tabulation.write_tables", lambda *given: shown.append(given[-1]))
    monkeypatch.setattr("bench.plots.write_figures", lambda *_: [])
    folder, out = made(comparing(tmp_path / "run")), tmp_path / "merged"
    assert main(["report", str(folder)]) == 0
    assert main(["merge", str(folder), "--out", str(out)]) == 0
    assert [names(claims) for claims in shown] == [{f"{A}-or-{B}/accuracy", f"{A}-or-{B}/loss"}] * 3
    assert [path.name for path in kept(out)] == [f"{A}-or-{B}.toml"]


def test_several_comparisons_stand_beside_each_other_and_the_published_claims(tmp_path: Path) -> None:
    runs = [read_run(made(comparing(tmp_path / str(i), *models))) for i, models in enumerate(((A, B), (B, A)))]
    both = claims_of(runs)
    assert len(both.claims) == 4
    published = made(options(tmp_path / "published", study="standard"))
    of_study = seeds(A, "downsampling-compact", losses=[0.1])
    append(published / "records.jsonl", *declared(of_study))
    assert names(both) < names(claims_of([*runs, read_run(published)]))
    assert names(claims_of([read_run(published)])) == names(claims_of([]))


def test_files_of_the_command_line_are_kept_and_can_be_replaced(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(OWN)
    run = read_run(made(options(tmp_path / "run", claims=[str(own)])))
    own.write_text(OWN.replace("it has fewer", "it has less"))
    for files, words in (([], "it has fewer parameters"), ([own], "it has less parameters")):
        found = claims_of([run], files)
        assert [claim.text for claim in found.claims if claim.name == "own/smaller"] == [words]
        assert len(found.claims) == 1 + len(claims_of([]).claims)  # the published ones are beside it


def test_a_file_that_leaves_the_published_claims_out_is_judged_alone(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(f"published = false\n{OWN}")
    found = options(tmp_path / "run", claims=[str(own)])
    assert names(found.claims) == names(claims_of([read_run(made(found))])) == {"own/smaller"}
    assert names(claims_of([], [own])) == {"own/smaller"}


def test_of_different_declarations_the_last_counts_and_is_named(tmp_path: Path) -> None:
    first, second = (made(comparing(tmp_path / n, max_seeds=n)) for n in ("12", "14"))
    merged = merge([first, second])
    assert [path.parent.parent for path in merged.claims] == [second]
    (note,) = [note for note in merged.notes if "claims" in note]
    assert note.startswith(f"{kept(first)[0]} and {kept(second)[0]} declare different claims under one name")
    assert not [note for note in merge([first]).notes if "claims" in note]


def test_a_session_keeps_them_when_it_opens_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "load", lambda *_: None)
    session = Session(comparing(tmp_path / "run"))
    session.open([])
    assert read_claims(kept(session.folder)) == session.options.claims
    published = Session(options(tmp_path / "published"))
    published.open([])
    assert not (published.folder / "claims").exists()


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        OptionError, match=r"--claims: two files have one name in a/own\.toml, b/own\.toml; rename"
    ):
        options(tmp_path / "run", claims=["a/own.toml", "b/own.toml"])


def test_a_kept_file_that_was_damaged_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made(comparing(tmp_path / "run"))
    kept(folder)[0].write_text("looks = ")
    assert main(["tables", str(folder)]) == 2
    assert f"{kept(folder)[0]}: not a file of claims" in capsys.readouterr().err
