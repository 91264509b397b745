"""What a machine must have for a run: the memory of a process that simulates 20,000 pairs and trains on them.

Shorter profiles simulate fewer. ``pytest bench -k resident --profile full`` runs it alone.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from bench.costs.resident import STATUS, resident_memory, resident_table
from bench.harness.session import Session
from bench.studies import STUDIES

PAIRS = 20_000


@pytest.mark.skipif(not STATUS.is_file(), reason="only Linux says how large a process was at most")
def test_resident_memory(session: Session, benchmark: Any, tmp_path: Path) -> None:
    """One round is the whole life of the process."""
    options = session.options
    config = replace(options.run_config(STUDIES["standard"], ""), results_dir=tmp_path)
    pairs = min(PAIRS, options.profile.simulated_pairs)
    config = replace(config, protocol=replace(config.protocol, pairs=pairs))
    measured = benchmark.pedantic(resident_memory, args=(config,), rounds=1)
    assert measured.pairs == pairs
    assert measured.started_bytes < measured.trained_bytes
    benchmark.extra_info.update(asdict(measured), device=options.device)
    session.add_table(resident_table(measured, session.measured_on()))
