"""Volumes pass between the processes in files that are mapped, not copied."""

import sys
from pathlib import Path

import numpy as np
import pytest
import slicer

MEGABYTES = 200
SHAPE = (200, 500, 500)  # of float32: 200 MB


def own_memory_mb():
    """Memory that belongs to this process alone and lies in no file, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the kernel tells no RssAnon")


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only Linux tells anonymous memory"
)


@needs_proc
def test_200_mb_are_handed_over_by_one_copy_into_a_file(panel, tmp_path):
    from microctsr_core.io.raw_nrrd import map_raw_nrrd, raw_nrrd_slabs

    nodes = sys.modules["MicroCTSRLib.Nodes"]
    array = np.zeros(SHAPE, np.float32)
    array[:] = 7.0
    node = slicer.util.addVolumeFromArray(array)
    del array
    before = own_memory_mb()
    peak = 0.0

    for _done in raw_nrrd_slabs(nodes.volumeFromNode(node), tmp_path / "volume.nrrd"):
        peak = max(peak, own_memory_mb() - before)
    assert peak < 0.1 * MEGABYTES, "the copy goes into the file, slab by slab"

    volume = map_raw_nrrd(tmp_path / "volume.nrrd")
    assert volume.array[100, 200, 300] == 7.0
    result = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    nodes.fillNode(result, volume)
    (tmp_path / "volume.nrrd").unlink()
    assert result.GetImageData().GetScalarComponentAsDouble(299, 199, 99, 0) == 7.0
    assert own_memory_mb() - before < 0.1 * MEGABYTES, "the file is mapped"


@needs_proc
def test_memory_of_a_result_is_given_back_when_its_node_goes(panel):
    import microctsr_core as sr

    nodes = sys.modules["MicroCTSRLib.Nodes"]
    before = own_memory_mb()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    nodes.fillNode(node, sr.Volume(np.ones(SHAPE, np.float32)))
    assert own_memory_mb() - before > 0.9 * MEGABYTES

    slicer.mrmlScene.RemoveNode(node)
    del node

    assert own_memory_mb() - before < 0.1 * MEGABYTES


def test_a_copy_of_a_result_stays_when_the_result_goes(panel):
    import microctsr_core as sr

    nodes = sys.modules["MicroCTSRLib.Nodes"]
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    nodes.fillNode(node, sr.Volume(np.full((3, 4, 5), 9.0, np.float32)))
    import vtk

    shared = vtk.vtkImageData()
    shared.ShallowCopy(node.GetImageData())
    slicer.mrmlScene.RemoveNode(node)
    del node

    assert shared.GetScalarRange() == (9.0, 9.0)
