"""The test library in two editions, and agents that are ended whatever happens."""

import pytest

from tests.agent.agent_process import AgentProcess
from tests.nvml.build import build_library


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return build_library(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="session")
def old_library(tmp_path_factory):
    return build_library(tmp_path_factory.mktemp("nvml-old"), old_driver=True)


@pytest.fixture
def start():
    made = []

    def begin(*args, **kwargs):
        made.append(AgentProcess(*args, **kwargs))
        return made[-1]

    yield begin
    for agent in made:
        agent.close()
