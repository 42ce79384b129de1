import json

import pytest

from tests.cli.conftest import Command


def test_profiles_lists_the_known_models(autoslicer: Command) -> None:
    """Without an argument every model that can be planned for is named, with its profiles."""
    ended = autoslicer("profiles")
    assert ended.code == 0
    assert "H100-80GB" in ended.out
    assert "3g.40gb" in ended.out
    assert len(ended.out.splitlines()) == 1 + 20


@pytest.mark.parametrize(
    "product", ["NVIDIA-H100-80GB-HBM3", "H100-80GB", "h100-80", "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb"]
)
def test_profiles_shows_one_model(autoslicer: Command, product: str) -> None:
    """A label's value, a model and the unambiguous start of one all lead to the model's table."""
    ended = autoslicer("profiles", product)
    assert ended.code == 0
    assert "3g.40gb     nvidia.com/mig-3g.40gb           3       4    2  0,4" in ended.out.splitlines()
    assert "  1 x 4g.40gb + 1 x 3g.40gb" in ended.out.splitlines()
    assert "  2 x 4g.40gb" not in ended.out.splitlines()


def test_profiles_as_json_carries_the_same_geometry(autoslicer: Command) -> None:
    """Programs get profile, resource, counts, placements and maximal layouts."""
    ended = autoslicer("profiles", "A30", "-o", "json")
    (model,) = json.loads(ended.out)["items"]
    assert (model["computeSlices"], model["memorySlices"]) == (4, 4)
    names = {profile["name"]: profile for profile in model["profiles"]}
    assert names["2g.12gb"]["starts"] == [0, 2]
    assert names["1g.6gb+me"]["resource"] == "nvidia.com/mig-1g.6gb.me"
    assert {"1g.6gb": 2, "2g.12gb": 1} in model["maximalLayouts"]


def test_profiles_of_an_unknown_gpu_says_what_is_known(autoslicer: Command) -> None:
    """A model that is not in the table is refused with the nearest that is."""
    ended = autoslicer("profiles", "H100-80GX")
    assert ended.code == 2
    assert ended.sentence == "no GPU model or product 'H100-80GX' is known; did you mean H100-80GB?"
