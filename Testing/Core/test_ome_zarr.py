"""OME-Zarr as other programs see it, and theirs as we do."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import make_oblique_volume
from microctsr_core import MicroCTSRError, ReadError, Volume, read_volume
from microctsr_core.io.ome_zarr import block_means, level_factors, open_ome_zarr, write_ome_zarr

zarr = pytest.importorskip("zarr")


@pytest.fixture
def image(tmp_path: Path) -> tuple[Volume, Path]:
    """A volume wide enough for two coarser levels, with an odd edge."""
    grid = make_oblique_volume(4, (6, 601, 1030), np.float32)
    volume = Volume(grid.array, (0.6, 0.04, 0.04), grid.origin, grid.direction, {"notice": "no"})
    write_ome_zarr(volume, tmp_path / "image.zarr", slab=4)
    return volume, tmp_path / "image.zarr"


# Read by others


@pytest.mark.parametrize("strict", [False, True])
def test_the_official_schema_of_version_0_5_finds_nothing_wrong(image, strict) -> None:
    from ome_zarr_io import validate

    _, path = image
    report = validate(path, strict=strict)
    assert report, report


def test_another_reader_finds_the_voxel_size_in_millimetres(image) -> None:
    from ome_zarr_io import Reader

    volume, path = image
    reader = Reader(path)
    assert reader.n_levels == 3
    assert [axis.name for axis in reader.axes] == ["z", "y", "x"]
    sizes = [reader.get_physical_size()[name] for name in "zyx"]
    assert [size.value for size in sizes] == pytest.approx(volume.spacing)
    assert {size.unit for size in sizes} == {"millimeter"}


def test_the_models_of_ome_zarr_agree_on_where_the_levels_lie(image) -> None:
    from ome_zarr_models.v05 import Image

    volume, path = image
    group = Image.from_zarr(zarr.open_group(path, mode="r"))
    (scales,) = group.ome_attributes.multiscales
    along_axes = volume.direction.T @ volume.origin
    for level, dataset in enumerate(scales.datasets):
        scale, translation = dataset.coordinateTransformations
        factors = np.array([1, 2**level, 2**level])
        np.testing.assert_allclose(scale.scale, factors * volume.spacing)
        # The outer corner of the first voxel is the same on every level.
        corner = np.array(translation.translation) - np.array(scale.scale) / 2
        expected = along_axes[::-1] - np.array(volume.spacing) / 2
        np.testing.assert_allclose(corner, expected)


def test_levels_are_means_over_blocks(image) -> None:
    volume, path = image
    group = zarr.open_group(path, mode="r")
    np.testing.assert_array_equal(group["0"][:], volume.array)
    means = volume.array[:, :600].reshape(6, 300, 2, 515, 2).mean(axis=(2, 4), dtype=float)
    np.testing.assert_allclose(group["1"][:, :300], means, rtol=1e-5, atol=1e-3)
    # The last row has no partner.
    row = volume.array[:, 600].reshape(6, 515, 2).mean(axis=2, dtype=float)
    np.testing.assert_allclose(group["1"][:, 300], row, rtol=1e-5, atol=1e-3)
    assert group["2"].shape == (6, 151, 258)


def test_values_are_kept_in_one_file_per_slab_and_level(image) -> None:
    _, path = image
    group = zarr.open_group(path, mode="r")
    for level, files in (("0", 2), ("1", 2), ("2", 2)):
        assert group[level].metadata.zarr_format == 3
        assert sum(file.is_file() for file in (path / level / "c").rglob("*")) == files


def test_fine_slices_are_merged_as_soon_as_pixels_are_as_wide_as_they_are_apart() -> None:
    assert level_factors((40, 1600, 1600), (0.15, 0.04, 0.04)) == [(1, 1, 1), (1, 2, 2), (1, 4, 4)]
    assert level_factors((900, 900, 900), (0.04, 0.04, 0.04)) == [(1, 1, 1), (2, 2, 2)]
    assert level_factors((600, 4, 4), (0.1, 0.1, 0.1)) == [(1, 1, 1), (2, 2, 2)]
    assert level_factors((5, 5, 5), (1, 1, 1)) == [(1, 1, 1)]
    np.testing.assert_array_equal(
        block_means(np.arange(5.0).reshape(1, 1, 5), (1, 1, 2)), [[[0.5, 2.5, 4]]]
    )


# Read back


def test_what_is_written_is_read_back_exactly_where_it_was(image) -> None:
    volume, path = image
    again = read_volume(path)
    np.testing.assert_array_equal(again.array, volume.array)
    assert again.spacing == volume.spacing
    assert again.origin == volume.origin
    np.testing.assert_array_equal(again.direction, volume.direction)
    assert dict(again.metadata) == {"notice": "no"}
    assert not open_ome_zarr(path).in_memory


def write_foreign(path: Path, version: str, shape: tuple[int, ...], **changes: Any) -> np.ndarray:
    """An image as other programs write it, in micrometres."""
    values = np.random.default_rng(0).integers(0, 1000, shape, dtype=np.uint16)
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    group.create_array("full", data=values)
    names = "tczyx"[-len(shape) :]
    kinds = {"t": "time", "c": "channel"}
    axes = [{"name": n, "type": kinds.get(n, "space")} for n in names]
    for axis in axes:
        if axis["type"] == "space":
            axis["unit"] = "micrometer"
    lead = [1.0] * (len(shape) - 3)
    steps = [
        {"type": "scale", "scale": [*lead, 300.0, 150.0, 150.0]},
        {"type": "translation", "translation": [*(0.0 for _ in lead), 3000.0, 2000.0, 1000.0]},
    ]
    scales = {"axes": axes, "datasets": [{"path": "full", "coordinateTransformations": steps}]}
    scales |= changes
    if version == "0.4":
        group.attrs["multiscales"] = [{**scales, "version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [scales]}
    return values


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 3, 4, 5), (1, 1, 3, 4, 5)])
def test_images_of_other_programs_are_read_in_millimetres(tmp_path, version, shape) -> None:
    values = write_foreign(tmp_path / "image.zarr", version, shape)
    volume = read_volume(tmp_path / "image.zarr")
    np.testing.assert_array_equal(volume.array, values.reshape(3, 4, 5))
    assert volume.spacing == pytest.approx((0.3, 0.15, 0.15))
    assert volume.origin == pytest.approx((1.0, 2.0, 3.0))


def test_what_is_no_volume_is_refused_by_name(tmp_path) -> None:
    path = tmp_path / "image.zarr"
    write_foreign(path, "0.5", (2, 3, 4, 5))
    with pytest.raises(ReadError, match=r"image\.zarr has several channels or times"):
        read_volume(path)
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    write_foreign(path, "0.5", (3, 4, 5), axes=axes)
    with pytest.raises(ReadError, match=r"does not tell the unit .*--spacing z,y,x"):
        read_volume(path)
    assert read_volume(path, spacing=(0.3, 0.2, 0.1)).spacing == (0.3, 0.2, 0.1)
    write_foreign(path, "0.5", (3, 4, 5), datasets=[])
    with pytest.raises(ReadError, match=r"image\.zarr is damaged, or no OME-Zarr"):
        read_volume(path)
    zarr.open_group(path, mode="w")
    with pytest.raises(ReadError, match="Zarr group without an image"):
        read_volume(path)


def test_without_zarr_the_package_to_install_is_named(image, monkeypatch) -> None:
    _, path = image
    importer = builtins.__import__

    def without_zarr(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "zarr":
            raise ModuleNotFoundError(name="zarr")
        return importer(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_zarr)
    with pytest.raises(MicroCTSRError, match=r"pip install 'microctsr\[large\]'"):
        read_volume(path)
