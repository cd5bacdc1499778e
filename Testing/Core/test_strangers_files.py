"""Files made by strangers, by accident or with bad intent: refused before they can do harm.

Each of these was found by `make faults`, which tries thousands more.
"""

from __future__ import annotations

import gzip
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from dicom_files import stored_values, write_series, write_slice
from microctsr_core import MicroCTSRError, Volume, load_model, read_volume, write_volume
from microctsr_core.entries import read_yaml
from microctsr_core.errors import ModelError, ReadError
from microctsr_core.importing import import_cyclegan
from microctsr_core.io.ome_zarr import write_ome_zarr
from toy_models import make_model

HU = np.random.default_rng(0).integers(-1000, 2000, (3, 5, 6)).astype(np.float32)
NRRD = (
    "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 6 5 3\n"
    "space directions: (1,0,0) (0,1,0) (0,0,1)\nkinds: domain domain domain\nendian: little\n"
    "encoding: gzip\nspace origin: (0,0,0)\n\n"
)


def nrrd(path: Path, old: str = "", new: str = "", data: bytes = b"") -> Path:
    payload = data or gzip.compress(HU.astype("<i2").tobytes())
    path.write_bytes(NRRD.replace(old, new).encode() + payload)
    return path


def refused(path: Path, *words: str, kind: type[MicroCTSRError] = ReadError) -> None:
    with pytest.raises(kind) as caught:
        read_volume(path)
    message = str(caught.value)
    assert message.isprintable()
    assert all(word in message for word in (path.name, *words)), message


# Numbers that cannot be ---------------------------------------------------------------------------

VAST = "1000000 1000000 1"  # 10^12 voxels


def test_a_header_that_claims_a_million_million_voxels_takes_no_memory(tmp_path) -> None:
    refused(nrrd(tmp_path / "a.nrrd", "6 5 3", VAST), "claims to hold", "which no scan does")
    write_volume(Volume(HU), tmp_path / "b.mha")
    text = (
        (tmp_path / "b.mha").read_bytes().replace(b"DimSize = 6 5 3", f"DimSize = {VAST}".encode())
    )
    (tmp_path / "b.mha").write_bytes(text)
    refused(tmp_path / "b.mha", "claims to hold")
    write_volume(Volume(HU), tmp_path / "c.nii.gz")
    header = bytearray(gzip.decompress((tmp_path / "c.nii.gz").read_bytes()))
    struct.pack_into("<3h", header, 42, 32767, 32767, 32767)
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(bytes(header)))
    refused(tmp_path / "c.nii.gz", "claims to hold")


def test_a_zarr_image_without_chunks_that_claims_to_be_vast_takes_no_memory(tmp_path) -> None:
    write_ome_zarr(Volume(HU), tmp_path / "a.zarr")
    facts = json.loads((tmp_path / "a.zarr/0/zarr.json").read_text())
    facts["shape"] = [10**6] * 3
    (tmp_path / "a.zarr/0/zarr.json").write_text(json.dumps(facts))
    refused(tmp_path / "a.zarr", "claims to hold")


def test_what_unpacks_without_end_is_not_unpacked_to_its_end(tmp_path) -> None:
    bomb = gzip.compress(bytes(200_000_000), 1)  # behind the 180 bytes that are needed
    path = nrrd(tmp_path / "ct.nrrd", data=gzip.compress(HU.astype("<i2").tobytes())[:-8] + bomb)
    refused(path, "damaged")


def test_an_nrrd_header_with_numbers_too_long_for_any_reader_is_refused(tmp_path) -> None:
    refused(nrrd(tmp_path / "a.nrrd", "dimension: 3", "dimension: " + "9" * 5000), "dimension")
    refused(nrrd(tmp_path / "b.nrrd", "6 5 3", "6 5 " + "9" * 5000), "sizes")
    refused(nrrd(tmp_path / "c.nrrd", "(0,0,1)", "(0,0," + "9" * 5000 + ")"), "space directions")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("NDims = 999", "NDims"),
        ("DimSize = 6 5", "DimSize"),
        ("DimSize = 6 5 -3", "DimSize"),
        ("ElementSpacing = 1", "ElementSpacing"),
        ("TransformMatrix = 1 0 0 0 1 0", "TransformMatrix"),
        ("ElementNumberOfChannels = 1000000000000", "ElementNumberOfChannels"),
        ("ElementType = MET_STRING", "ElementType"),
    ],
)
def test_a_metaimage_header_that_contradicts_itself_is_refused(line, word, tmp_path) -> None:
    write_volume(Volume(HU), tmp_path / "ct.mha")
    head, end, values = (tmp_path / "ct.mha").read_bytes().partition(b"ElementDataFile")
    lines = [each for each in head.decode().splitlines() if not each.startswith(f"{word} ")]
    lines.insert(1 if word == "NDims" else len(lines), line)
    (tmp_path / "ct.mha").write_bytes("\n".join(lines).encode() + b"\n" + end + values)
    refused(tmp_path / "ct.mha", word)


@pytest.mark.parametrize(
    ("place", "kind", "value", "word"),
    [
        (108, "<f", float("nan"), "offset"),
        (108, "<f", float("inf"), "offset"),
        (108, "<f", 1e30, "offset"),
        (40, "<h", 0, "number of dimensions"),
        (44, "<h", -5, "dimensions"),
        (70, "<h", 9999, "type of values"),
        (80, "<f", 0.0, "voxel size"),
        (84, "<f", float("nan"), "voxel size"),
    ],
)
def test_a_nifti_header_that_cannot_be_is_refused(place, kind, value, word, tmp_path) -> None:
    write_volume(Volume(HU), tmp_path / "ct.nii")
    header = bytearray((tmp_path / "ct.nii").read_bytes())
    struct.pack_into(kind, header, place, value)
    (tmp_path / "ct.nii").write_bytes(header)
    refused(tmp_path / "ct.nii", word)


@pytest.mark.parametrize("name", ["a.mha", "a.mhd"])
def test_a_metaimage_that_says_it_is_compressed_and_is_not_is_refused(name, tmp_path) -> None:
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(HU), str(tmp_path / name), useCompression=True)
    assert np.array_equal(read_volume(tmp_path / name).array, HU)
    sitk.WriteImage(sitk.GetImageFromArray(HU), str(tmp_path / name), useCompression=False)
    plain = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(
        plain.replace(b"CompressedData = False", b"CompressedData = True")
    )
    refused(tmp_path / name, "damaged")


def test_a_dicom_element_longer_than_its_file_is_refused_at_once(tmp_path) -> None:
    path = write_series(tmp_path / "ct", stored_values())[2]
    data = path.read_bytes()
    place = data.index(b"\xe0\x7f\x10\x00OW") + 8
    path.write_bytes(data[:place] + struct.pack("<I", 0x7F000000) + data[place + 4 :])
    with pytest.raises(ReadError, match=r"slice_002\.dcm is damaged"):
        read_volume(tmp_path / "ct")


def test_a_dicom_element_of_a_kind_that_there_is_not_is_refused(tmp_path) -> None:
    write_series(tmp_path, HU)
    path = sorted(tmp_path.iterdir())[0]
    path.write_bytes(path.read_bytes().replace(b"\x02\x00\x03\x00UI", b"\x02\x00\x03\x00QI", 1))
    refused(tmp_path, "damaged")


def test_a_deflated_dicom_slice_that_is_damaged_does_not_keep_the_reader_for_ever(tmp_path) -> None:
    import pydicom

    path = write_series(tmp_path / "ct", stored_values())[2]
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    assert read_volume(tmp_path / "ct").shape == (6, 8, 10)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ReadError, match=r"slice_002\.dcm is damaged"):
        read_volume(tmp_path / "ct")


def test_a_slice_of_zeros_alone_is_not_handed_to_the_reader(tmp_path) -> None:
    write_series(tmp_path, stored_values())[2].write_bytes(bytes(62))
    with pytest.raises(ReadError, match=r"slice_002\.dcm is damaged"):
        read_volume(tmp_path)


@pytest.mark.parametrize("grid", [((1e308, 1, 1),), ((1e-300, 1, 1),), ((1, 1, 1), (1e200, 0, 0))])
def test_a_grid_of_astronomical_numbers_is_refused(grid) -> None:
    with pytest.raises(MicroCTSRError, match="is that of no scan"):
        Volume(HU, *grid)


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # of pydicom, which writes it
@pytest.mark.parametrize("place", ["inf", "nan", "1e300"])
def test_a_dicom_slice_that_lies_nowhere_is_named(place, tmp_path) -> None:
    write_series(tmp_path, stored_values(2))
    write_slice(tmp_path / "z_0.dcm", stored_values(1)[0], ImagePositionPatient=["0", "0", place])
    with pytest.raises(ReadError, match=r"z_0\.dcm does not tell where its slice lies"):
        read_volume(tmp_path)


def test_a_dicom_header_in_another_alphabet_can_be_written_again(tmp_path) -> None:
    for path in write_series(tmp_path / "ct", stored_values(), Manufacturer="Foto Muller"):
        path.write_bytes(path.read_bytes().replace(b"Muller", b"M\xfcller"))
    volume = read_volume(tmp_path / "ct")
    write_volume(volume, tmp_path / "ct.nrrd", compress=False)
    assert read_volume(tmp_path / "ct.nrrd").metadata["manufacturer"].startswith("Foto M")


# Names that lead elsewhere ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../ct.raw", "C:\\ct.raw", "%s%s%n", "LIST\n../a\n../b\n../c"]
)
def test_the_values_of_a_header_lie_beside_it(name, tmp_path) -> None:
    (tmp_path / "ct.raw").write_bytes(HU.astype("<i2").tobytes())
    inner = tmp_path / "inner"
    inner.mkdir()
    text = NRRD.replace("encoding: gzip", f"encoding: raw\ndata file: {name}").rstrip("\n")
    (inner / "ct.nhdr").write_text(text.replace("space origin: (0,0,0)", "") + "\n")
    refused(inner / "ct.nhdr", "does not lie beside it")


def test_header_and_values_in_two_files_are_still_read(tmp_path) -> None:
    (tmp_path / "ct.raw").write_bytes(HU.astype("<i2").tobytes())
    text = NRRD.replace("encoding: gzip", "encoding: raw\ndata file: ct.raw")
    (tmp_path / "ct.nhdr").write_text(text)
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nhdr").array, HU.astype(np.int16))


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="only Unix has devices as files")
def test_a_device_is_never_read_as_values(tmp_path) -> None:
    text = NRRD.replace("encoding: gzip", "encoding: raw\ndata file: ct.raw")
    (tmp_path / "ct.nhdr").write_text(text)
    (tmp_path / "ct.raw").symlink_to("/dev/zero")
    with pytest.raises(ReadError, match="is no file"):
        read_volume(tmp_path / "ct.nhdr")
    write_ome_zarr(Volume(HU), tmp_path / "a.zarr")
    (chunk,) = (tmp_path / "a.zarr/0/c").rglob("0/0/0") or (tmp_path / "a.zarr/0/c").rglob("0")
    chunk.unlink()
    chunk.symlink_to("/dev/zero")
    with pytest.raises(ReadError, match="is no file"):
        read_volume(tmp_path / "a.zarr")


def test_a_blosc_chunk_cut_short_is_told_instead_of_showing_what_lies_behind_it(tmp_path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", shape=HU.shape, dtype="float32", chunks=HU.shape)[:] = HU
    axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
    np.testing.assert_array_equal(read_volume(tmp_path / "a.zarr").array, HU)
    (chunk,) = (tmp_path / "a.zarr" / "0").glob("0.0.0")
    chunk.write_bytes(chunk.read_bytes()[:40])
    with pytest.raises(ReadError, match=r"0\.0\.0 is damaged or cut short"):
        read_volume(tmp_path / "a.zarr")


def test_an_array_outside_its_zarr_image_is_not_read(tmp_path) -> None:
    write_ome_zarr(Volume(HU), tmp_path / "other.zarr")
    write_ome_zarr(Volume(HU), tmp_path / "a.zarr")
    group = zarr.open_group(tmp_path / "a.zarr", mode="r+")
    facts = dict(group.attrs["ome"])
    facts["multiscales"][0]["datasets"][0]["path"] = "../other.zarr/0"
    group.attrs["ome"] = facts
    refused(tmp_path / "a.zarr", "outside it")


def test_what_a_file_says_cannot_write_onto_the_terminal(tmp_path) -> None:
    stack = stored_values()
    write_series(tmp_path, stack)
    write_series(tmp_path, stack, names="b_{:03d}.dcm", SeriesInstanceUID="1.2.3.5",
                 ConvolutionKernel="\x1b[2J\x1b[31mgone")  # fmt: skip
    with pytest.raises(ReadError, match="holds 2 series") as caught:
        read_volume(tmp_path)
    assert "gone" in str(caught.value)
    assert str(caught.value).isprintable()


def test_an_error_that_quotes_a_whole_file_is_shortened() -> None:
    message = str(MicroCTSRError(f"ct.nrrd says {'x' * 100_000}; correct it."))
    assert len(message) < 1300
    assert message.startswith("ct.nrrd says xxx")
    assert message.endswith("; correct it.")


# Models -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    return make_model().save(tmp_path_factory.mktemp("models") / "toy").path


def changed(package: Path, folder: Path, change: Callable[[dict], None]) -> Path:
    folder.mkdir()
    card = json.loads((package / "card.json").read_text())
    change(card)
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "weights.safetensors").write_bytes((package / "weights.safetensors").read_bytes())
    return folder


@pytest.mark.parametrize(
    "arguments",
    [{"width": 2000}, {"width": 10**12}, {"blocks": 10**9}, {"upsampling": [8] * 10_000}],
)
def test_a_card_of_a_vast_network_takes_neither_memory_nor_time(
    arguments, package, tmp_path
) -> None:
    spoilt = changed(
        package, tmp_path / "toy", lambda card: card["network"]["arguments"].update(arguments)
    )
    with pytest.raises(ModelError, match=r"network"):
        load_model(spoilt)


def test_a_card_of_brackets_alone_is_not_valid_json(package, tmp_path) -> None:
    spoilt = changed(package, tmp_path / "toy", lambda _: None)
    (spoilt / "card.json").write_text("[" * 200_000)
    with pytest.raises(ModelError, match="not valid JSON"):
        load_model(spoilt)


def test_a_card_with_half_a_character_is_refused_as_nothing_could_write_it(
    package, tmp_path
) -> None:
    spoilt = changed(package, tmp_path / "toy", lambda card: card.update(description="\udc80"))
    with pytest.raises(ModelError, match="not valid JSON"):
        load_model(spoilt)


def test_weights_that_are_no_numbers_are_refused_though_their_hash_is_right(tmp_path) -> None:
    model = make_model()
    model.network.last.weight[0, 0, 0, 0] = float("nan")
    model.save(tmp_path / "toy")
    with pytest.raises(ModelError, match=r"last\.weight that are no numbers"):
        load_model(tmp_path / "toy")


def test_a_checkpoint_of_few_numbers_repeated_is_refused_before_they_are_laid_out(tmp_path) -> None:
    vast = torch.zeros(1).expand(10**6, 10**6)
    torch.save({"model.1.weight": vast}, tmp_path / "net.pth")
    with pytest.raises(ModelError, match="no plain array of numbers"):
        import_cyclegan(tmp_path / "net.pth", "toy")


def test_a_checkpoint_that_unpacks_to_gigabytes_is_refused(tmp_path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "net.pth", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("archive/data.pkl", "w", force_zip64=True) as entry,
    ):
        for _ in range(60):
            entry.write(bytes(10_000_000))
    with pytest.raises(ReadError, match="claims to hold"):
        import_cyclegan(tmp_path / "net.pth", "toy")


def test_a_checkpoint_with_a_number_where_weights_should_be_is_refused(tmp_path) -> None:
    state = {
        "model.1.weight": torch.zeros(4, 1, 7, 7),
        "model.10.conv_block.1.weight": torch.zeros(4, 4, 3, 3),
        "model.18.weight": torch.tensor(1.0),
    }
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"model\.18\.weight is a number"):
        import_cyclegan(tmp_path / "net.pth", "toy")


# Entries ------------------------------------------------------------------------------------------

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)
)


@pytest.mark.parametrize(
    "text",
    [LAUGHS, MERGES, "a: " + "[" * 5000, "a: &a [*a]", "a: 2020-13-45", "a: " + "9" * 5000,
     "a: !!bool x", "a: !!timestamp x", f"a: {10**40}",
     'a: "\\ud800"', "a: !!python/object/apply:os.system [true]"],
    ids=["aliases of aliases", "merges of merges", "nesting", "itself", "no date", "digits",
         "no truth value", "no time", "huge", "half a character", "code"],
)  # fmt: skip
def test_yaml_that_unfolds_without_end_or_stands_for_nothing_is_refused(text, tmp_path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(MicroCTSRError, match=r"a\.yaml"):
        read_yaml(tmp_path / "a.yaml")


def test_yaml_may_name_an_entry_and_repeat_it(tmp_path) -> None:
    (tmp_path / "a.yaml").write_text("a: &size [0.3, 0.3, 0.3]\nb: *size\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": [0.3] * 3, "b": [0.3] * 3}
