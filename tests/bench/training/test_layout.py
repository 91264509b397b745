import pytest
import torch

from bench.training.environment import environment
from bench.training.layout import LAYOUTS, layout_name, layout_of
from bench.training.runs import build_seeded
from data_utils import DatasetInfo
from fusion_models import find_model

INFO = DatasetInfo("tiny", ("a", "b"), {"rgb": 4, "lidar": 4}, (64, 64))


def test_every_index_of_a_device_has_the_layout_of_its_type() -> None:
    assert layout_of("cuda:1") == layout_of(torch.device("cuda")) == LAYOUTS["cuda"]
    assert layout_of("cpu") == torch.channels_last
    assert layout_of("meta") == torch.channels_last


@pytest.mark.parametrize(
    ("layout", "name"), [(torch.channels_last, "channels last"), (torch.contiguous_format, "contiguous")]
)
def test_models_have_it_and_records_name_it(
    layout: torch.memory_format, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LAYOUTS, "cpu", layout)
    network = build_seeded(find_model("wide-rgb-strided"), INFO, 51, "cpu")
    filters = [weights for weights in network.parameters() if weights.dim() == 4 and weights.shape[1] > 1]
    assert filters
    assert all(weights.is_contiguous(memory_format=layout) for weights in filters)
    assert environment(torch.device("cpu"))["layout"] == layout_name("cpu") == name
