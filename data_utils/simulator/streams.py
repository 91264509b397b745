"""The random streams of many scenes: ``np.random.default_rng([seed, index, ...])`` for each index, but faster.

A world needs tens of thousands of generators, and making one can take longer than drawing from it. Here the
seeds of all are mixed at once, and one generator takes their states in turn. The states are numpy's own:
``SeedSequence`` [1] and PCG64 [2], neither of which numpy ever changes. Loads no torch.

[1] O'Neill, "Developing a seed_seq alternative", 2015, with numpy's constants.
[2] O'Neill, "PCG: a family of simple fast space-efficient statistically good algorithms", 2014.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]

_POOL = 4  # words of 32 bits that hold what was mixed
_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645  # of PCG64
_128_BITS = (1 << 128) - 1


def streams(
    seed: int, indices: Sequence[int] | npt.NDArray[np.int64], *stream: int
) -> Iterator[np.random.Generator]:
    """The generator of ``[seed, index, *stream]`` for each index; as one object, so each must be used at once.

    Args:
        seed: Not negative.
        indices: Not negative and below 2**32.
        stream: Not negative.
    """
    of_stream = (word for part in stream for word in _words(part))
    columns = [*_words(seed), np.asarray(indices).astype(np.uint32), *of_stream]
    bits = np.random.PCG64(0)
    generator = np.random.Generator(bits)
    for high, low, increment_high, increment_low in _seeds(columns, len(indices)).tolist():
        increment = (increment_high << 65 | increment_low << 1 | 1) & _128_BITS
        state = ((increment + (high << 64 | low)) * _MULTIPLIER + increment) & _128_BITS
        bits.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": increment},
            "has_uint32": 0,
            "uinteger": 0,
        }
        yield generator


def _words(number: int) -> list[Words]:
    """The digits of a number to the base of 2**32, the lowest first; one for 0."""
    count = max(1, -(-number.bit_length() // 32))
    return [np.array([number >> 32 * place & 0xFFFFFFFF], dtype=np.uint32) for place in range(count)]


def _seeds(entropy: Sequence[Words], count: int) -> npt.NDArray[np.uint64]:
    """What ``SeedSequence.generate_state(4, np.uint64)`` returns, (n, 4), for words (n,) or (1,)."""
    mixed = _Hash(0x43B0D7E5, 0x931E8875)
    padded = [*entropy, *[np.zeros(1, dtype=np.uint32)] * (_POOL - len(entropy))]
    pool = [mixed(word) for word in padded[:_POOL]]
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                pool[target] = _mix(pool[target], mixed(pool[source]))
    for word in padded[_POOL:]:
        pool = [_mix(target, mixed(word)) for target in pool]
    spread = _Hash(0x8B51F9DD, 0x58F38DED)
    state = [np.broadcast_to(spread(pool[place % _POOL]), count) for place in range(8)]
    return np.stack(state, axis=1).astype("<u4").view("<u8")


class _Hash:
    """A hash of words whose constant changes with each call."""

    def __init__(self, constant: int, multiplier: int) -> None:
        self._constant, self._multiplier = constant, multiplier

    def __call__(self, words: Words) -> Words:
        words = words ^ np.uint32(self._constant)
        self._constant = self._constant * self._multiplier & 0xFFFFFFFF
        words = words * np.uint32(self._constant)
        return words ^ words >> np.uint32(16)


def _mix(one: Words, other: Words) -> Words:
    mixed: Words = one * np.uint32(0xCA01F9DD) - other * np.uint32(0x4973F715)
    return mixed ^ mixed >> np.uint32(16)
