"""What runs leave behind: plain data, read and written. Imports nothing else of bench."""

from bench.records.cost import CostRecord, GrowthRecord, InferenceRecord, RaceRecord, ResidentRecord, read_costs
from bench.records.files import RecordError, append, convert, parse, read
from bench.records.keys import (
    CellKey,
    Conditions,
    cell_key,
    cell_of,
    conditions_of,
    differences,
    latest,
    machine,
    probe_key,
    same_data,
)
from bench.records.metric import Metric
from bench.records.probe import ProbeRecord
from bench.records.run import COMPLETED, DIVERGED, FAILED, Pretraining, RunRecord
from bench.records.sample import SampleRecord

__all__ = [
    "COMPLETED",
    "DIVERGED",
    "FAILED",
    "CellKey",
    "Conditions",
    "CostRecord",
    "GrowthRecord",
    "InferenceRecord",
    "Metric",
    "Pretraining",
    "ProbeRecord",
    "RaceRecord",
    "RecordError",
    "ResidentRecord",
    "RunRecord",
    "SampleRecord",
    "append",
    "cell_key",
    "cell_of",
    "conditions_of",
    "convert",
    "differences",
    "latest",
    "machine",
    "parse",
    "probe_key",
    "read",
    "read_costs",
    "same_data",
]
