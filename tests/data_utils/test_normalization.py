import numpy as np
import pytest
import torch

from data_utils import Batch, ChannelStatistics, DataError


def batch_of(*channels: list[float]) -> Batch:
    """Pairs of one pixel, with one list of values per channel."""
    values = torch.tensor(channels).T[:, :, None, None]
    return Batch({"rgb": values}, torch.zeros(len(values), dtype=torch.int64))


def test_hand_made_numbers() -> None:
    statistics = ChannelStatistics.of(lambda: [batch_of([1.0, 3.0], [0.0, 4.0])])
    assert statistics.mean["rgb"].tolist() == [2.0, 2.0]
    assert statistics.std["rgb"].tolist() == [1.0, 2.0]
    assert statistics.mean["rgb"].dtype == statistics.std["rgb"].dtype == torch.float32


@pytest.mark.parametrize("constant", [0.0, 1.0, 0.1, -50.0])
def test_a_constant_channel_is_scaled_to_zero(constant: float) -> None:
    batch = batch_of([constant] * 7, [0.0, 1.0] * 3 + [0.5])
    statistics = ChannelStatistics.of(lambda: [batch])
    assert statistics.std["rgb"][0] == 1
    assert torch.equal(batch.inputs["rgb"][:, 0] - statistics.mean["rgb"][0], torch.zeros(7, 1, 1))


def test_agrees_with_numpy_across_chunks() -> None:
    generator = torch.Generator().manual_seed(0)
    values = 1000 + torch.rand(300, 2, 3, 5, generator=generator)
    batch = Batch({"lidar": values}, torch.zeros(300, dtype=torch.int64))
    statistics = ChannelStatistics.of(lambda: [batch])
    expected = values.numpy().astype(np.float64)
    np.testing.assert_allclose(statistics.mean["lidar"], expected.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(statistics.std["lidar"], expected.std((0, 2, 3)), rtol=1e-6)


def test_refuses_an_empty_batch() -> None:
    with pytest.raises(DataError, match="An empty batch has no channel statistics"):
        ChannelStatistics.of(list)


@pytest.mark.parametrize("size", [1, 7, 64, 150])
def test_the_number_of_pairs_at_a_time_changes_no_bit(size: int) -> None:
    values = torch.randn(150, 4, 5, 6, generator=torch.Generator().manual_seed(0)) * 100 + 3
    batch = Batch({"rgb": values}, torch.zeros(150, dtype=torch.int64))
    whole = ChannelStatistics.of(lambda: [batch])
    parts = ChannelStatistics.of(lambda: (batch[start : start + size] for start in range(0, 150, size)))
    assert torch.equal(parts.mean["rgb"], whole.mean["rgb"])
    assert torch.equal(parts.std["rgb"], whole.std["rgb"])
    pixels = values.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(whole.mean["rgb"], pixels.mean(dim=1).float())
    torch.testing.assert_close(whole.std["rgb"], pixels.std(dim=1, correction=0).float())
