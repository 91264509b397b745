"""Other Python processes, for what must not depend on anything that this one has done."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch


def fresh_process() -> ProcessPoolExecutor:
    """One process in which nothing has run yet, with as many threads as this one has; leaving it ends it.

    Not forked: a fork would inherit memory and generators, and CUDA does not survive one.
    """
    return ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (torch.get_num_threads(),))
