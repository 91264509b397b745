import numpy as np
import pytest

from data_utils.simulator.streams import streams

INDICES = (0, 1, 2**31, 2**32 - 1)


@pytest.mark.parametrize("seed", [0, 51, 2**32 - 1, 2**32, 2**70 + 3])
@pytest.mark.parametrize("stream", [(), (1,), (2, 0), (4, 3), (1, 2, 2**33, 4)])
def test_each_stream_is_that_of_numpy(seed: int, stream: tuple[int, ...]) -> None:
    for index, generator in zip(INDICES, streams(seed, INDICES, *stream), strict=True):
        expected = np.random.default_rng([seed, index, *stream])
        assert generator.bit_generator.state == expected.bit_generator.state
        assert (
            generator.standard_normal(5, np.float32).tolist() == expected.standard_normal(5, np.float32).tolist()
        )


def test_nothing_that_was_drawn_before_is_left() -> None:
    """An odd number of float32 leaves half of a random word behind."""
    for index, generator in enumerate(streams(7, range(3))):
        expected = np.random.default_rng([7, index]).random(3, np.float32)
        assert generator.random(3, np.float32).tolist() == expected.tolist()


def test_no_index_has_no_stream() -> None:
    assert list(streams(0, ())) == []
