"""What the models are compared on: paired images and range measurements, simulated or read from files."""

from data_utils.dataset import Batch, DataError, DatasetInfo, PairedDataset
from data_utils.loading import DATASETS, LAYOUTS, Layout, load
from data_utils.normalization import ChannelStatistics
from data_utils.splits import Split, split, subsample

__all__ = [
    "DATASETS",
    "LAYOUTS",
    "Batch",
    "ChannelStatistics",
    "DataError",
    "DatasetInfo",
    "Layout",
    "PairedDataset",
    "Split",
    "load",
    "split",
    "subsample",
]
