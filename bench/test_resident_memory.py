"""The memory that a run needs: of a process that simulates 20,000 pairs and trains on them.

Shorter profiles simulate fewer. ``pytest bench -k resident --profile full`` runs it alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.harness.session import Session

PAIRS = 20_000


@pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="only Linux reports the peak size of a process"
)
def test_resident_memory(session: Session, benchmark: Any) -> None:
    """One round is the whole life of the process."""
    from bench.costs.resident import resident_memory

    options = session.options
    config = options.standard
    pairs = min(PAIRS, options.profile.simulated_pairs)
    config = replace(config, protocol=replace(config.protocol, pairs=pairs))
    record = benchmark.pedantic(resident_memory, args=(config,), rounds=1)
    assert record.pairs == pairs
    assert record.started_bytes < record.trained_bytes
    benchmark.extra_info.update(pairs=pairs, trained_bytes=record.trained_bytes, device=options.device)
    session.keep_cost(record)
