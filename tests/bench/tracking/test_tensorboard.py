import json
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from msgspec.structs import replace
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from bench.tables.models import fusion_table
from bench.tracking.tensorboard import TensorBoard
from tests.bench.samples import MODEL, TWIN
from tests.bench.tracking.session import BLUE, CONFIG, RECORD, RED, SAMPLES, tell


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a session that TensorBoard tracked."""
    folder = tmp_path_factory.mktemp("run")
    (note,) = tell(TensorBoard(folder))
    assert note == f"TensorBoard: look at the run with: tensorboard --logdir {folder / 'tensorboard'}"
    return folder / "tensorboard"


@pytest.fixture(scope="module")
def events(folder: Path) -> EventAccumulator:
    return read(folder / MODEL)


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"images": 0})
    events.Reload()
    return events


def text(events: EventAccumulator, tag: str) -> str:
    (event,) = events.Tensors(f"{tag}/text_summary")
    (value,) = event.tensor_proto.string_val
    return str(value.decode())


def test_every_cell_and_the_analysis_have_a_folder(folder: Path) -> None:
    folders = sorted({path.parent.relative_to(folder).as_posix() for path in folder.rglob("events.*")})
    assert folders == sorted([MODEL, f"fusion-compact/raw/{TWIN}-seed7", "analysis"])


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        ("train_loss", [0.75, 0.5]),
        ("valid_loss", [0.25, 0.375]),
        ("valid_accuracy", [0.875, 0.75]),
        ("learning_rate", [0.125, 0.125]),
        ("epoch_seconds", [2.0, 4.0]),
        ("peak_memory_bytes", [1_000, 1_000]),
    ],
)
def test_scalars_of_every_epoch(events: EventAccumulator, tag: str, values: list[float]) -> None:
    assert [(event.step, event.value) for event in events.Scalars(tag)] == list(enumerate(values, start=1))


def test_the_config_is_text(events: EventAccumulator) -> None:
    assert json.loads(text(events, "config")) == CONFIG


def test_hyperparameters_are_beside_the_results(events: EventAccumulator) -> None:
    (content,) = (
        content
        for tag, content in events.PluginTagToContent("hparams").items()
        if tag.endswith("session_start_info")
    )
    started = HParamsPluginData.FromString(content).session_start_info.hparams
    assert (started["model"].string_value, started["seed"].number_value, started["epochs"].number_value) == (
        MODEL,
        51,
        2,
    )
    assert [event.value for event in events.Scalars("result/best_valid_loss")] == [RECORD.best_valid_loss]


def picture(events: EventAccumulator, tag: str) -> npt.NDArray[np.uint8]:
    (event,) = events.Images(tag)
    return np.asarray(Image.open(BytesIO(event.encoded_image_string)))


def test_sample_predictions_are_pictures_with_a_list(events: EventAccumulator) -> None:
    np.testing.assert_array_equal(picture(events, "predictions/rgb"), np.hstack([RED, BLUE]))
    np.testing.assert_array_equal(picture(events, "predictions/lidar"), np.hstack([BLUE, RED]))
    assert text(events, "predictions").splitlines()[2:] == [
        "| cubes/0001 | cubes | spheres | 0.750 |",
        "| spheres/0002 | spheres | spheres | 0.500 |",
    ]


def test_names_with_a_bar_stay_in_their_column(tmp_path: Path) -> None:
    tracker = TensorBoard(tmp_path)
    tracker.begin(MODEL, CONFIG)
    tracker.end(None, [replace(SAMPLES[0], name="a|b.png", label="left|right")])
    shown = text(read(tmp_path / "tensorboard" / MODEL), "predictions").splitlines()
    assert shown[2:] == [r"| a\|b.png | left\|right | spheres | 0.750 |"]


def test_tables_are_text(folder: Path) -> None:
    assert text(read(folder / "analysis"), "standard/fusion") == fusion_table([RECORD]).markdown()
