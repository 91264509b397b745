"""Depth, range and other values as people store them: types, scales and pixels that are not measured."""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from data_utils import DataError, load
from data_utils.layouts.media import Values
from tests.data_utils.layouts.files import DEPTH_M, depth_of, write_pairs

MEASURED = np.where(DEPTH_M > 0, DEPTH_M, np.nan)
MM = DEPTH_M * 1000


def declare(folder: Path, kind: str = "depth", **entries: str) -> None:
    """A ``dataset.toml`` of the manifest's two modalities."""
    lines = ["[modalities.rgb]", 'kind = "image"', "[modalities.lidar]", 'column = "depth"', f'kind = "{kind}"']
    (folder / "dataset.toml").write_text(
        "\n".join([*lines, *(f"{key} = {text}" for key, text in entries.items())])
    )


def rotated(values: Values) -> Values:
    return np.asarray((values << 3) | (values >> 13), dtype=np.uint16)


def with_missing(values: npt.NDArray[np.generic], value: float) -> npt.NDArray[np.generic]:
    """The values with this one where nothing was measured."""
    return np.where(DEPTH_M > 0, values, value).astype(values.dtype)


@pytest.mark.parametrize(
    ("stored", "suffix", "declared"),
    [
        pytest.param(MM.astype(np.uint16), ".png", {}, id="16-bit PNG"),
        pytest.param(MM.astype(np.uint16), ".tiff", {}, id="16-bit TIFF"),
        pytest.param(MM.astype(np.int32), ".tiff", {}, id="32-bit TIFF"),
        pytest.param(DEPTH_M.astype(np.float32), ".tiff", {}, id="float TIFF"),
        *(pytest.param(DEPTH_M.astype(f"f{size}"), ".npy", {}, id=f"float{8 * size}") for size in (2, 4, 8)),
        *(pytest.param(MM.astype(dtype), ".npy", {}, id=f"npy of {dtype}") for dtype in ("u2", "i2", "i4", "u8")),
        pytest.param((DEPTH_M * 5000).astype(np.uint16), ".png", {"scale": "5000"}, id="TUM"),
        pytest.param(np.rint(DEPTH_M * 25600).astype(np.uint16), ".png", {"scale": "25_600.0"}, id="any scale"),
        pytest.param((DEPTH_M * 100).astype(np.uint8), ".png", {"scale": "100"}, id="8 bits, declared"),
        pytest.param(MM.astype(np.float32), ".npy", {"scale": "1000"}, id="millimeters as floats"),
        pytest.param(rotated(MM.astype(np.uint16)), ".png", {"scale": '"sun-rgbd"'}, id="SUN RGB-D"),
        pytest.param(with_missing(MM.astype(np.uint16), 65535), ".png", {}, id="65535"),
        *(
            pytest.param(with_missing(MM.astype(dtype), np.iinfo(dtype).max), ".npy", {}, id=f"largest {dtype}")
            for dtype in ("u2", "i2", "u4", "i4", "i8")
        ),
        pytest.param(with_missing(MM.astype(np.int32), 65535), ".tiff", {}, id="65535 in 32 bits"),
        pytest.param(with_missing(DEPTH_M, 1e300), ".npy", {}, id="no float32"),
        pytest.param(with_missing(DEPTH_M, np.nan), ".npy", {}, id="NaN"),
        pytest.param(with_missing(DEPTH_M, np.inf), ".npy", {}, id="infinity"),
        pytest.param(with_missing(DEPTH_M, -np.inf), ".npy", {}, id="negative infinity"),
        pytest.param(with_missing(DEPTH_M, -1), ".npy", {"invalid": "[-1]"}, id="-1, declared"),
        pytest.param(with_missing(DEPTH_M, -7), ".npy", {"invalid": '["negative"]'}, id="negative, declared"),
        pytest.param(with_missing(MM.astype(np.int16), -1), ".npy", {"invalid": '["negative"]'}, id="int16"),
        pytest.param(with_missing(MM.astype(np.uint16), 4444), ".png", {"invalid": "[4444]"}, id="any, declared"),
        pytest.param(with_missing(DEPTH_M, np.nan), ".npy", {"invalid": "[nan]"}, id="NaN, declared"),
    ],
)
def test_depth_is_the_same_however_it_is_stored(
    stored: Values, suffix: str, declared: dict[str, str], tmp_path: Path
) -> None:
    write_pairs(tmp_path, stored, suffix)
    if declared:
        declare(tmp_path, **declared)
    np.testing.assert_allclose(depth_of(tmp_path), MEASURED, rtol=1e-3 if stored.dtype == np.float16 else 1e-6)


def test_a_column_declares_the_scale_of_its_row(tmp_path: Path) -> None:
    write_pairs(tmp_path, (DEPTH_M * 5000).astype(np.uint16), header=",depth_scale", row=",5000")
    np.testing.assert_allclose(depth_of(tmp_path), MEASURED, rtol=1e-6)
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",5000\n", ",500\n", 1))
    np.testing.assert_allclose(depth_of(tmp_path), MEASURED * 10, rtol=1e-6)
    manifest.write_text(manifest.read_text().replace(",500\n", ",0\n", 1))
    with pytest.raises(DataError, match="'0' in column 'depth_scale' of row 1; write a positive number of units"):
        load(str(tmp_path))


def test_files_of_one_manifest_may_be_stored_differently(tmp_path: Path) -> None:
    write_pairs(tmp_path, MM.astype(np.uint16))
    np.save(tmp_path / "depth" / "1.npy", DEPTH_M)
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("depth/1.png", "depth/1.npy"))
    points = load(str(tmp_path)).batch().inputs["lidar"]
    torch.testing.assert_close(points[0], points[1])


@pytest.mark.parametrize(
    ("stored", "suffix", "declared", "notes"),
    [
        (MM.astype(np.uint16), ".png", {}, ["integers are read as millimeters: 0.80 to 2.50 m."]),
        (DEPTH_M, ".npy", {}, ["values are read as meters: 0.80 to 2.50 m."]),
        (MM.astype(np.uint16), ".png", {"scale": "1000"}, []),
        (with_missing(MM.astype(np.uint16), 65535), ".png", {"scale": "1000"}, ["16.7% of pixels hold 65535"]),
        (with_missing(MM.astype(np.uint16), 65535), ".png", {"scale": "1000", "invalid": "[65535]"}, []),
        (with_missing(DEPTH_M, np.nan), ".npy", {"scale": "1"}, ["16.7% of pixels are NaN or infinite and count"]),
        (
            with_missing(MM.astype(np.int32), 65535),
            ".npy",
            {},
            ["0.80 to 2.50 m", "16.7% of pixels hold 65535, the largest value of 16 bits"],
        ),
        (with_missing(MM.astype(np.int32) * 8, 65535), ".npy", {"scale": "8000"}, []),  # a value like others
        (
            with_missing(DEPTH_M, 10),
            ".npy",
            {},
            [
                "0.80 to 10.00 m",
                "16.7% of pixels hold one largest value, 10.0 (10 m) and count as measured; if they",
            ],
        ),
    ],
)
def test_what_is_taken_for_granted_is_said_and_no_problem(
    stored: Values, suffix: str, declared: dict[str, str], notes: list[str], tmp_path: Path
) -> None:
    write_pairs(tmp_path, stored, suffix)
    if declared:
        declare(tmp_path, **declared)
    data = load(str(tmp_path))
    assert data.notes == data.assumptions
    assert len(data.notes) == len(notes)
    assert all(part in note for part, note in zip(notes, data.notes, strict=True))


@pytest.mark.parametrize(
    ("stored", "suffix", "declared", "doubt"),
    [
        (
            (DEPTH_M * 5000).astype(np.uint16),
            ".png",
            {},
            r"4.00 to 12.50 m, .*\(TUM RGB-D\) it ends at 2.50 m, with",
        ),
        ((DEPTH_M * 256 * 8).astype(np.uint16), ".png", {"scale": "10"}, "check the declared scale"),
        (DEPTH_M.astype(np.uint16), ".png", {}, "0.00 to 0.00 m, which is implausible"),
        ((DEPTH_M * 4000).astype(np.uint16), ".png", {}, "3.20 to 10.00 m, which is implausible"),
        (MM, ".npy", {}, r"800.00 to 2500.00 m, .*millimeters, declare scale = 1000 .* \(0.80 to 2.50 m\)"),
        (DEPTH_M * 0, ".npy", {}, "no pixel of any file is measured"),
        (
            with_missing(DEPTH_M.astype(np.float32), 65.535),
            ".npy",
            {},
            r"hold one largest value, 65.535 \(65.535 m\), and the others end at 2.50 m.* invalid = \[65.535\]",
        ),
        (with_missing(MM, 65535), ".npy", {"scale": "1000"}, r"declare invalid = \[65535.0\]"),
        (with_missing(MM.astype(np.uint16), 65534), ".png", {}, r"declare invalid = \[65534\]"),
        (with_missing(DEPTH_M, 1e10), ".npy", {}, r"10000000000.0 \(1e\+10 m\).* invalid = \[10000000000.0\]"),
    ],
)
def test_implausible_depth_is_a_problem(
    stored: Values, suffix: str, declared: dict[str, str], doubt: str, tmp_path: Path
) -> None:
    write_pairs(tmp_path, stored, suffix)
    if declared:
        declare(tmp_path, **declared)
    data = load(str(tmp_path))
    (problem,) = set(data.notes) - set(data.assumptions)
    assert re.search(doubt, problem)


def test_a_largest_value_that_stands_for_no_measurement_hides_no_other_doubt(tmp_path: Path) -> None:
    write_pairs(tmp_path, with_missing(MM, 65535), ".npy")
    data = load(str(tmp_path))
    doubts = [note for note in data.notes if note not in data.assumptions]
    assert "invalid = [65535.0]" in doubts[0]
    assert "800.00 to 2500.00 m" in doubts[1]
    assert "declare scale = 1000" in doubts[1]
    declare(tmp_path, scale="1000", invalid="[65535.0]")
    assert load(str(tmp_path)).notes == ()
    np.testing.assert_allclose(depth_of(tmp_path), MEASURED, rtol=1e-6)


@pytest.mark.parametrize(
    ("stored", "suffix", "declared", "message"),
    [
        ((DEPTH_M * 100).astype(np.uint8), ".png", {}, "0.png holds distances of 8 bits, mostly a picture"),
        (
            np.zeros((2, 3, 3), np.uint8),
            ".png",
            {"scale": "1"},
            "0.png has 3 channels, but a distance is one value",
        ),
        (with_missing(DEPTH_M, -1), ".npy", {}, r'0.npy contains negative .*\(-1\).* invalid = \["negative"\]'),
        (DEPTH_M, ".npy", {"scale": '"sun-rgbd"'}, "0.npy holds float64, but the scale 'sun-rgbd' is of 16-bit"),
    ],
)
def test_what_can_only_be_guessed_is_refused_with_the_remedy(
    stored: Values, suffix: str, declared: dict[str, str], message: str, tmp_path: Path
) -> None:
    write_pairs(tmp_path, stored, suffix)
    if declared:
        declare(tmp_path, **declared)
    with pytest.raises(DataError, match=message) as caught:
        load(str(tmp_path))
    assert str(caught.value).count("3 more lidar file(s) cannot be used for this reason") == 1


def test_a_thermal_modality_has_its_own_unit_and_missing_values(tmp_path: Path) -> None:
    celsius = np.array([[0, 29815, 30015], [30115, 31015, 65535]], dtype=np.uint16)
    write_pairs(tmp_path, celsius)
    declare(tmp_path, "thermal", scale="100", invalid="[0, 65535]", unit='"K"')
    data = load(str(tmp_path))
    assert data.inputs["lidar"].dtype == torch.uint16
    (values,) = data.batch(torch.tensor([0]), ["lidar"]).inputs.values()
    torch.testing.assert_close(values, torch.tensor([[[[0, 298.15, 300.15], [301.15, 310.15, 0]]]]))
    modality = data.modality("lidar")
    assert (modality.kind, modality.unit, modality.points) == ("thermal", "K", False)
    assert data.notes == ()


def test_other_values_keep_their_channels(tmp_path: Path) -> None:
    write_pairs(tmp_path, np.arange(30.0).reshape(2, 3, 5)[..., :2], ".npy")
    declare(tmp_path, "raw")
    assert load(str(tmp_path)).info.channels == {"rgb": 4, "lidar": 2}
    write_pairs(tmp_path, np.full((2, 3), np.nan), ".npy")
    with pytest.raises(DataError, match=r"0.npy contains NaN or infinity; .* invalid = \[nan, inf, -inf\]"):
        load(str(tmp_path))


@pytest.mark.parametrize(("largest", "scale"), [(4080, "4095"), (200, "255"), (8191, "8191"), (8192, ""), (0, "")])
def test_images_of_16_bits_from_a_camera_of_fewer_are_a_problem(largest: int, scale: str, tmp_path: Path) -> None:
    write_pairs(tmp_path)
    for pair in range(4):
        np.save(tmp_path / "rgb" / f"{pair}.npy", np.array([[0, 0, largest], [0, 0, 0]], dtype=np.uint16))
    table = (tmp_path / "manifest.csv").read_text()
    (tmp_path / "manifest.csv").write_text(re.sub(r"rgb/(\d).png", r"rgb/\1.npy", table))
    data = load(str(tmp_path))
    problems = set(data.notes) - set(data.assumptions)
    assert len(problems) == bool(scale)
    assert all(f'kind = "raw" and scale = {scale} in dataset.toml' in problem for problem in problems)


RANGES = np.array([[0.0, 10, 49.9], [50, 60, np.nan]], dtype=np.float32)


@pytest.mark.parametrize(
    ("stored", "declared", "measured", "note"),
    [
        (
            RANGES,
            {},
            [[0, 10, 49.9], [0, 0, 0]],
            "16.7% of pixels are beyond 50 m, up to 60.00 m, and count as no",
        ),
        (RANGES, {"max_range": "55"}, [[0, 10, 49.9], [50, 0, 0]], ""),
        (
            RANGES,
            {"max_range": "10", "invalid": "[49.9]"},
            [[0, 0, 0], [0, 0, 0]],
            "no pixel of any file is measured",
        ),
        (
            (RANGES[:, :2] * 1000).astype(np.uint16),
            {},
            [[0, 10], [0, 0]],
            "25.0% of pixels are beyond 50 m, up to",
        ),
        ((RANGES[:, :2] * 256).astype(np.uint16), {"scale": "256", "max_range": "55"}, [[0, 10], [50, 0]], ""),
        (np.array([[1000, 65535]], np.uint16), {"scale": "1000", "max_range": "80"}, [[1, 0]], ""),
        (
            np.array([[1.0, 20, 20]]),
            {},
            [[1, 20, 20]],
            "hold one largest value, 20.0 (20 m), and the others end at 1",
        ),
    ],
)
def test_rays_without_return_are_not_measured_without_angles_too(
    stored: Values, declared: dict[str, str], measured: list[list[float]], note: str, tmp_path: Path
) -> None:
    write_pairs(tmp_path, stored, ".npy")
    declare(tmp_path, "range", **declared)
    data = load(str(tmp_path))
    np.testing.assert_allclose(data.batch().inputs["lidar"][0, 0], measured)
    problems = [problem for problem in data.notes if problem not in data.assumptions]
    assert [note in problem for problem in problems] == [True] * bool(note)


@pytest.mark.parametrize("largest", [65535, 32767])
@pytest.mark.parametrize("invalid", ["[0]", "[777]", "[]", '["negative"]', "[65535, 32767]"])
def test_declared_missing_values_are_added_to_those_that_are_always_missing(
    largest: int, invalid: str, tmp_path: Path
) -> None:
    stored = np.array([[777, 1000, largest]], dtype=np.uint16 if largest == 65535 else np.int16)
    write_pairs(tmp_path, stored, ".npy")
    declare(tmp_path, scale="1000", invalid=invalid)
    np.testing.assert_allclose(depth_of(tmp_path), [[np.nan if "777" in invalid else 0.777, 1, np.nan]])
    notes = load(str(tmp_path)).notes
    assert any("the largest value of their type" in note for note in notes) == (str(largest) not in invalid)


@pytest.mark.parametrize("angles", [True, False])
def test_a_range_of_0_in_integers_is_no_return_whatever_is_declared(angles: bool, tmp_path: Path) -> None:
    write_pairs(tmp_path, np.array([[0, 1000], [2000, 65535]], dtype=np.uint16), ".npy")
    np.save(tmp_path / "a.npy", np.zeros(2))
    declare(
        tmp_path, "range", invalid="[65535]", **dict.fromkeys(("azimuth", "zenith"), '"a.npy"') if angles else {}
    )
    (values,) = load(str(tmp_path)).batch(torch.tensor([0]), ["lidar"]).inputs.values()
    if angles:
        assert values[0, 3].tolist() == [[0, 1], [1, 0]]
    else:
        assert values[0].tolist() == [[[0, 1], [2, 0]]]
