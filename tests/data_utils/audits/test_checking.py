import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from data_utils import PairedDataset, load
from data_utils.audits.checking import Report, check
from data_utils.geometry import depth_to_xyza
from tests.data_utils.samples import tiny_dataset


@pytest.fixture(scope="module")
def dataset() -> PairedDataset:
    return load("shapes", pairs=80).decoded()


def audits(report: Report) -> set[str]:
    return {finding.audit for finding in report.findings}


def test_a_sound_data_set_has_no_problems(dataset: PairedDataset) -> None:
    report = check(dataset)
    assert report.findings == []
    assert (report.pairs, report.groups, report.twins) == (80, 40, 80)
    assert report.classes == {"cubes": 40, "spheres": 40}
    assert report.text().endswith("no problems")
    rgb = report.modalities["rgb"]
    assert (rgb.channels, rgb.kind, rgb.lowest, rgb.highest) == (4, "uint8", 0.0, 255.0)


def test_the_sensor_follows_from_the_points(dataset: PairedDataset) -> None:
    sensor = check(dataset).sensor
    assert sensor is not None
    assert (sensor.kind, sensor.geometries, sensor.empty_pairs) == ("scanner", "one", 0)
    assert 17 < sensor.nearest_m < 21
    assert 27 < sensor.furthest_m < 33
    assert 25 < sensor.horizontal_deg < 31.6
    assert 25 < sensor.vertical_deg < 31.6
    assert sensor.measured == pytest.approx(0.055, abs=0.01)


def test_a_depth_camera_of_several_intrinsics(dataset: PairedDataset) -> None:
    depth = torch.full((80, 64, 64), 2.0)
    depth[0] = 0.0
    focal = torch.full((80,), 32.0)
    focal[40:] = 64.0
    middle = torch.full((80,), 31.5)
    points = depth_to_xyza(depth, focal, focal, middle, middle)
    sensor = check(replace(dataset, inputs={"rgb": dataset.inputs["rgb"], "lidar": points})).sensor
    assert sensor is not None
    assert (sensor.kind, sensor.geometries, sensor.empty_pairs) == ("depth camera", "several", 1)
    assert sensor.horizontal_deg == pytest.approx(2 * math.degrees(math.atan(31.5 / 32)), abs=0.01)
    assert sensor.nearest_m == pytest.approx(2, abs=0.01)


def repeat(dataset: PairedDataset) -> PairedDataset:
    """Eight pairs repeated in other groups."""
    twice = torch.cat([torch.arange(len(dataset)), torch.arange(8)])
    copied = dataset.take(twice)
    groups = copied.groups.clone()
    groups[-8:] = torch.arange(1000, 1008)
    return replace(copied, groups=groups)


def mark(dataset: PairedDataset) -> PairedDataset:
    rgb = dataset.inputs["rgb"].clone()
    rgb[dataset.labels == 1, 0, 0, 0] = 200
    return replace(dataset, inputs={**dataset.inputs, "rgb": rgb})


def rotate(dataset: PairedDataset) -> PairedDataset:
    """Rotate the points of one class, as if another sensor had measured them."""
    points = dataset.inputs["lidar"].clone()
    rows = dataset.labels == 1
    x, y = points[rows, 0], points[rows, 1]
    points[rows, 0], points[rows, 1] = x * math.cos(0.01) - y * math.sin(0.01), x * math.sin(0.01) + y
    return replace(dataset, inputs={**dataset.inputs, "lidar": points})


@pytest.mark.parametrize(
    ("damage", "problems"),
    [
        (repeat, {"repeated pairs", "pairs in several parts"}),
        (mark, {"label-dependent inputs"}),
        (rotate, {"label-dependent inputs"}),
        (lambda d: replace(d, notes=("3 file(s) were left out.",)), {"reading"}),
        (lambda d: replace(d, groups=torch.zeros_like(d.groups)), {"split"}),
    ],
)
def test_problems_are_found(
    dataset: PairedDataset, damage: Callable[[PairedDataset], PairedDataset], problems: set[str]
) -> None:
    report = check(damage(dataset))
    assert audits(report) == problems
    for finding in report.findings:
        assert finding.message in report.text()
    assert report.text().endswith(f"{len(report.findings)} problem{'s' if len(report.findings) > 1 else ''}")


def test_the_report_is_json(dataset: PairedDataset) -> None:
    report = check(mark(dataset))
    content = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert content["problems"] == 1
    assert content["classes"] == {"cubes": 40, "spheres": 40}
    assert content["sensor"]["kind"] == "scanner"
    (outcome,) = [o for o in content["outcomes"] if o["findings"]]
    assert outcome["audit"] == "label-dependent inputs"


def test_without_points_and_without_measurements(dataset: PairedDataset) -> None:
    assert check(tiny_dataset([0, 1] * 10)).sensor is None
    nothing = replace(dataset, inputs={**dataset.inputs, "lidar": torch.zeros_like(dataset.inputs["lidar"])})
    report = check(nothing)
    assert report.sensor is not None
    assert report.sensor.empty_pairs == 80
    assert json.loads(json.dumps(report.as_json(), allow_nan=False))["sensor"]["nearest_m"] is None
    assert "80 pairs without a measurement" in report.text()
