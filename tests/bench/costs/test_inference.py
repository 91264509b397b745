import pandas as pd
import pytest
import torch

from bench.costs.inference import ForwardPass, InferenceTime, inference_table, random_batch
from data_utils import PairedDataset
from fusion_models import FusionNet, find_model
from tests.bench.samples import MODEL, TWIN, small_dataset


@pytest.fixture(scope="module")
def dataset() -> PairedDataset:
    return small_dataset()


def test_a_random_batch_has_the_shapes_of_the_data_and_never_changes(dataset: PairedDataset) -> None:
    before = torch.get_rng_state()
    first, second = random_batch(dataset.info, 5, "cpu"), random_batch(dataset.info, 5, "cpu")
    assert torch.equal(torch.get_rng_state(), before)
    for modality, values in first.inputs.items():
        assert values.shape == (5, dataset.info.channels[modality], *dataset.info.image_size)
        assert values.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(values, second.inputs[modality])
    assert first.labels.tolist() == [0, 1, 0, 1, 0]


def test_a_forward_pass_is_of_the_whole_batch_and_without_gradients(
    dataset: PairedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits: list[torch.Tensor] = []
    modes: list[bool] = []
    original = FusionNet.forward

    def forward(network: FusionNet, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        modes.append(network.training)
        logits.append(original(network, inputs))
        return logits[-1]

    monkeypatch.setattr(FusionNet, "forward", forward)
    forward_pass = ForwardPass(find_model(MODEL), dataset, 3, "cpu")
    forward_pass()
    assert modes == [False]
    assert (logits[0].shape, logits[0].is_inference()) == ((3, 1), True)
    assert forward_pass.parameters == 215_051  # as test_runs.py counts


def test_times_are_summed_up_by_median_quartiles_and_pairs_a_second() -> None:
    time = InferenceTime(MODEL, parameters=10, batch_size=8, seconds=(0.1, 0.2, 0.4, 0.6, 9.0))
    assert (time.median_seconds, time.pairs_per_second) == (0.4, 20.0)
    assert time.iqr_seconds == pytest.approx(0.6 - 0.2)


def test_the_table_has_a_line_a_model_and_leaves_open_what_was_not_measured(dataset: PairedDataset) -> None:
    measured = [
        InferenceTime(MODEL, 1_000, 1, (0.002, 0.001, 0.003)),
        InferenceTime(TWIN, 1_000, 1, (0.004,)),
        InferenceTime(MODEL, 1_000, 256, (0.125,)),
    ]
    table = inference_table(measured, dataset.info, ["device: a processor"])
    assert table.rows == [[MODEL, "1,000", "2.00", "1.00", "2,048"], [TWIN, "1,000", "4.00", "0.00", "-"]]
    assert table.notes[0].endswith("throughput: in batches of 256")
    assert table.data.latency_seconds.tolist() == [0.002, 0.004]
    assert table.data.pairs_per_second[0] == 2048
    assert pd.isna(table.data.pairs_per_second[1])
    assert table.conditions == ["inputs: rgb of 4 channels, lidar of 4 channels, 16x16", "device: a processor"]


def test_nothing_measured_in_batches_is_said_so(dataset: PairedDataset) -> None:
    table = inference_table([InferenceTime(MODEL, 1_000, 1, (0.002,))], dataset.info, [])
    assert table.notes[0].endswith("in batches of -")
