from pathlib import Path

import pytest
import torch

from bench.training.processes import fresh_process
from bench.training.runs import run
from fusion_models import find_model
from fusiongauge import load_plugin, plugins
from tests.bench.samples import SMALL, small_dataset

PLUGIN = """
from torch import nn
from fusion_models import register_model

class Linear(nn.Module):
    def __init__(self, pixels, classes):
        super().__init__()
        self.layer = nn.Linear(pixels, classes)

    def forward(self, inputs):
        return self.layer(inputs["rgb"].flatten(1))

@register_model("linear")
def linear(channels, image_size, classes):
    return Linear(channels["rgb"] * image_size[0] * image_size[1], classes)
"""


def state() -> tuple[int, list[str]]:
    return torch.get_num_threads(), [plugin.name for plugin in plugins()]


@pytest.mark.slow
@pytest.mark.usefixtures("registries")
def test_a_fresh_process_has_the_threads_and_plugins_of_this_one(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    load_plugin(str(tmp_path / "mine.py"))
    here = run("linear", small_dataset(), protocol=SMALL)
    with fresh_process() as process:
        assert process.submit(state).result() == state()
        for model in ("linear", find_model("linear")):
            there = process.submit(run, model, small_dataset(), 51, SMALL).result()
            assert there.weights_sha256 == here.weights_sha256
            assert there.code_sha256 == here.code_sha256
            assert there.plugins == here.plugins == ["mine.py"]
