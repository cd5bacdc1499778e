"""The module's own test, as the real application runs it, in the host."""

import sys

import pytest


@pytest.mark.slow
def test_from_a_loaded_ct_to_a_grown_segmentation_with_the_bundled_model(panel):
    scenario = sys.modules["MicroCTSR"].MicroCTSRTest()
    scenario.messageDelay = 0
    scenario.runTest()
