"""The bundled CT in Slicer's *Sample Data*, taken from the installed extension, not downloaded."""

import hashlib
from pathlib import Path

from microctsr_core.sample import SAMPLE_NAME, sample_volume_path

CATEGORY = "MicroCTSR"
SAMPLE = "MicroCTSRTemporalBone"
NODE_NAME = "TemporalBone"


def registerSampleData(iconsFolder):
    """Offer the bundled CT of a temporal bone under File > Download Sample Data."""
    import SampleData

    path = sample_volume_path()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE,
        thumbnailFileName=str(Path(iconsFolder) / "MicroCTSRTemporalBone.png"),
        uris=path.as_uri(),
        fileNames=SAMPLE_NAME,
        nodeNames=NODE_NAME,
        checksums=f"SHA256:{digest}",
    )
