import json
import shutil
from pathlib import Path

import pytest
import torch

from bench.records import machine
from bench.training import environment as module
from bench.training.environment import device_name, environment


def test_the_environment_is_json_and_tells_the_machine() -> None:
    facts = environment(torch.device("cpu"))
    assert json.loads(json.dumps(facts)) == facts
    assert facts["threads"] == torch.get_num_threads()
    assert facts["device_name"] == device_name(torch.device("cpu")) == facts["cpu"]
    assert facts["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert None not in (machine(facts)["cpu"], machine(facts)["torch"])


def test_a_commit_is_that_of_the_code_and_not_of_a_folder_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = environment(torch.device("cpu"))
    if shutil.which("git") and module._git("ls-files", "--error-unmatch", "environment.py"):
        assert len(facts["commit"]) == 40
    # Installed into a folder of another checkout, or outside of any.
    module._software_and_machine.cache_clear()
    monkeypatch.setattr(module, "__file__", str(tmp_path / "environment.py"))
    try:
        assert environment(torch.device("cpu"))["commit"] is None
        assert environment(torch.device("cpu"))["dirty"] is False
    finally:
        module._software_and_machine.cache_clear()
