"""The module's own test, as the real application runs it, in the host."""

import sys

import pytest

SCENARIOS = ("test_FromVolumesToARatedStudy", "test_FromTwoFoldersToAMeasuredModel")


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_researcher_goes_all_the_way(name, training):
    scenario = sys.modules["MicroCTSRTraining"].MicroCTSRTrainingTest()
    scenario.messageDelay = 0
    scenario.setUp()
    try:
        getattr(scenario, name)()
    finally:
        scenario.tearDown()
