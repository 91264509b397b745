"""Recording on all cores: other processes record some of the chunks, and this one the rest.

Not threads: the operations on the small arrays of a chunk wait for Python's lock so often that two threads take
longer than one. The processes load neither torch nor the caller's program. If they cannot be started or die, this
process records everything.
"""

import mmap
import os
import pickle
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryFile
from threading import Thread
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from data_utils.memory import usable_cores
from data_utils.simulator.recording import Chunk

_MOST_PROCESSES = 8
_CHUNKS_EACH = 8
"""The fewest that a process is started for: starting takes as long as recording one to three of them."""

_RECORDED = b"."
_PROGRAM = "from data_utils.simulator.processes import serve; serve()"

Rgb: TypeAlias = npt.NDArray[np.uint8]
Ranges: TypeAlias = npt.NDArray[np.float32]


def record_all(chunks: Iterable[Chunk], rgb: Rgb, range_m: Ranges, progress: Callable[[int], None]) -> None:
    """Record all chunks.

    Args:
        chunks: Of pairs.
        rgb: (N, 4, S, S), filled.
        range_m: (N, S, S), filled.
        progress: Called with the number of pairs that are recorded, each time this is known to be more.
    """
    waiting, recorded = deque(chunks), 0
    finished: deque[int] = deque()
    room = max(len(chunk.index) for chunk in waiting) * (rgb[0].nbytes + range_m[0].nbytes)
    others: list[_Other] = []
    try:
        with suppress(OSError):  # one that cannot be started
            others.extend(_Other(room, waiting, finished, rgb, range_m) for _ in range(_others(len(waiting))))
        while waiting or finished or any(other.is_alive() for other in others):
            with suppress(IndexError):
                chunk = waiting.popleft()
                chunk.record(rgb[chunk.pairs], range_m[chunk.pairs])
                finished.append(len(chunk.index))
            if not waiting:
                for other in others:
                    other.join()  # which puts back what it could not record
            if finished:
                while finished:
                    recorded += finished.popleft()
                progress(recorded)
    finally:
        waiting.clear()
        for other in others:
            other.end()


def serve() -> None:
    """Record chunks from standard input, a socket, until it ends; standard output is the file for the images."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    with suppress(EOFError, OSError), socket.socket(fileno=0) as channel, mmap.mmap(1, 0) as memory:
        requests = channel.makefile("rb")
        while True:
            chunk, size = pickle.load(requests)  # noqa: S301 - of the process that started this one
            chunk.record(*_images(memory, len(chunk.index), size))
            channel.sendall(_RECORDED)


def _images(memory: mmap.mmap, pairs: int, size: int) -> tuple[Rgb, Ranges]:
    """The images of a chunk in shared memory."""
    pixels = pairs * size**2
    rgb = np.frombuffer(memory, np.uint8, 4 * pixels).reshape(pairs, 4, size, size)
    range_m = np.frombuffer(memory, np.float32, pixels, offset=rgb.nbytes).reshape(pairs, size, size)
    return rgb, range_m


class _Other(Thread):
    """A process that records chunks as long as some wait, and the thread that gives and takes them.

    Args:
        room: Bytes for the images of any chunk.
        waiting: Chunks, of which it takes the first, and puts back one that it could not record.
        finished: Gets the numbers of pairs of those that it recorded.
        rgb: See ``record_all``.
        range_m: See ``record_all``.
    """

    def __init__(self, room: int, waiting: deque[Chunk], finished: deque[int], rgb: Rgb, range_m: Ranges) -> None:
        super().__init__(daemon=True)
        self._waiting, self._finished, self._rgb, self._range_m = waiting, finished, rgb, range_m
        path = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
        with ExitStack() as opened:
            file = opened.enter_context(TemporaryFile())
            file.truncate(room)
            self._memory = mmap.mmap(file.fileno(), 0)
            ours, theirs = map(opened.enter_context, socket.socketpair())
            self._process = Popen(  # noqa: S603
                [sys.executable or "", "-P", "-c", _PROGRAM],
                stdin=theirs.fileno(),
                stdout=file.fileno(),
                stderr=DEVNULL,
                env=os.environ | {"PYTHONPATH": path},
            )
            self._channel = ours.dup()
        self.start()

    def run(self) -> None:
        """Have chunks recorded until none waits or the process dies."""
        with suppress(IndexError):
            while True:
                chunk = self._waiting.popleft()
                if not self._recorded(chunk):
                    self._waiting.append(chunk)
                    return
                self._finished.append(len(chunk.index))

    def _recorded(self, chunk: Chunk) -> bool:
        size = self._rgb.shape[-1]
        with suppress(OSError):
            self._channel.sendall(pickle.dumps((chunk, size)))
            if self._channel.recv(len(_RECORDED)):
                rgb, range_m = _images(self._memory, len(chunk.index), size)
                self._rgb[chunk.pairs], self._range_m[chunk.pairs] = rgb, range_m
                return True
        return False

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self.join()
        self._process.wait()
        self._channel.close()


def _others(chunks: int) -> int:
    """How many further processes are worth their start."""
    return max(0, min(_MOST_PROCESSES, usable_cores(), chunks // _CHUNKS_EACH) - 1)
