"""The module's own test, as the real application runs it, in the host."""

import sys

import pytest


@pytest.mark.slow
def test_from_two_folders_to_a_model_that_is_listed_and_measured(training):
    scenario = sys.modules["MicroCTSRTraining"].MicroCTSRTrainingTest()
    scenario.messageDelay = 0
    scenario.runTest()
