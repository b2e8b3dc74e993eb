"""What these tests share. Clients are imported inside tests: by default none is installed."""

import importlib.util

import pytest


@pytest.fixture(autouse=True)
def one_thread(request):
    """Small networks are many times faster on one thread than on all of them."""
    if request.node.get_closest_marker("clients") and importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
