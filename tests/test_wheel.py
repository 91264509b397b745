"""The wheel in an empty folder: benchmarks, pages, comparisons and audits need nothing of a checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import safetensors
from hatchling.build import build_wheel

from tests.bench.samples import MODEL

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ``sys.path`` with the content of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        wheel = folder / build_wheel(str(folder))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def call(site: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**ours, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_wheel_holds_what_runs_need_and_no_tests(site: Path) -> None:
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert files >= {
        "fusiongauge.py",
        "bench/__init__.pyi",
        "bench/published/fusion-compact.json",
        "bench/report/templates/page.html",
        "bench/test_training.py",
        "data_utils/__init__.pyi",
        "fusion_models/__init__.pyi",
    }
    assert not any(file.startswith(("tests/", "results/", "docs/")) for file in files)


def test_it_runs_and_shows_a_benchmark_in_an_empty_folder(site: Path, tmp_path: Path) -> None:
    words = ("--profile", "smoke", "--device", "cpu", "-k", f"test_training and {MODEL}", "-p", "no:cacheprovider")
    ran = call(site, tmp_path, "pytest", "--pyargs", "bench", *words, "--results-dir", "run")
    assert ran.returncode == 0, ran.stdout
    for command in (("report", "run"), ("compare", "run", "run"), ("tables", "run")):
        shown = call(site, tmp_path, "bench", *command)
        assert shown.returncode == 0, shown.stdout
    assert (tmp_path / "run" / "report.html").is_file()
    without = call(site, tmp_path, "bench", "report")
    assert without.returncode == 2
    assert "no committed records; give the folder of a run" in without.stdout


def test_it_audits_and_lists_through_the_command(site: Path, tmp_path: Path) -> None:
    audited = call(site, tmp_path, "bench", "audit", "--dataset", "shapes-few")
    assert "repeated pairs" in audited.stdout
    listed = call(site, tmp_path, "bench", "run", "--collect-only", "-q", "-k", f"test_training and {MODEL}")
    assert f"test_training[{MODEL}]" in listed.stdout
    assert "warning" not in listed.stdout


def test_another_project_does_not_notice_the_plugin(site: Path, tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text("import sys\ndef test_it(): assert 'torch' not in sys.modules")
    ran = call(site, tmp_path, "pytest", "-q", "-p", "no:cacheprovider")
    assert ran.returncode == 0, ran.stdout
    assert "FusionGauge" not in ran.stdout


def test_beside_other_packages_the_code_has_the_hash_of_the_checkout(site: Path, tmp_path: Path) -> None:
    """In an environment the wheel lies in the folder of all packages, which are not its code."""
    environment = tmp_path / "site"
    shutil.copytree(site, environment)
    shutil.copytree(Path(safetensors.__file__).parent, environment / "safetensors")
    script = "from bench.training.fingerprint import code_sha256; print(code_sha256())"
    hashes = {
        subprocess.check_output([sys.executable, "-c", script], cwd=folder, env={**os.environ, "PYTHONPATH": "."})
        for folder in (ROOT, environment)
    }
    assert len(hashes) == 1
