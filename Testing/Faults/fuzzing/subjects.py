"""All subjects, in the order of the table."""

from __future__ import annotations

from .entries import ComparisonYaml, TrainingYaml
from .ome_zarr import OmeZarr
from .packages import Card, Checkpoint, Weights
from .reader_study import StudyFolder, StudyServer
from .series import Dicom, Tiff
from .subject import Subject
from .volumes import MetaImage, Nifti, Nrrd

SUBJECTS: tuple[Subject, ...] = (
    Nrrd(), Nifti(), MetaImage(), Dicom(), Tiff(), OmeZarr(), Card(), Weights(), Checkpoint(),
    TrainingYaml(), ComparisonYaml(), StudyFolder(), StudyServer(),
)  # fmt: skip
