import pytest
import torch
from toys import engine_of, toy_llama


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def llama():
    return toy_llama()


@pytest.fixture
def engine(llama):
    return engine_of(llama)
