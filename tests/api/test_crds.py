"""The CustomResourceDefinitions as documents: complete, stable, and the same as those in deploy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from autoslicer.api.crds import RESOURCES, Resource, crd_files, crds, crds_yaml, write
from tests.api.constraints import nodes, schema_of
from tests.api.objects import FULL

DEPLOYED = Path(__file__).parents[2] / "deploy" / "crds"


def test_the_deployed_crds_are_those_of_the_models() -> None:
    """`deploy/crds` is what the models generate; where not, `python -m autoslicer.api.crds deploy/crds`."""
    assert {path.name: path.read_text(encoding="utf-8") for path in DEPLOYED.iterdir()} == crd_files()


def test_the_files_are_written_where_asked(tmp_path: Path) -> None:
    """The command that mends a drift writes every file."""
    write(tmp_path)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == crd_files()


def test_the_stream_holds_every_crd_in_full() -> None:
    """The YAML stream reads back as the objects, without anchors."""
    assert list(yaml.safe_load_all(crds_yaml())) == crds()
    assert "&id" not in crds_yaml()


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_the_stream_is_the_same_bytes_each_time(seed: str) -> None:
    """The order of hashes has no say in the output."""
    program = "from autoslicer.api.crds import crds_yaml; print(crds_yaml(), end='')"
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert printed.stdout == crds_yaml()


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.plural)
def test_columns_and_selectors_point_at_fields(resource: Resource) -> None:
    """Every column of `kubectl get` and every selectable field is a field of the schema."""
    schema = schema_of(resource.model.__name__)
    known = {".".join(("", *path)).replace(".[]", "[]") for path, _ in nodes(schema)}
    for path in (*(column.path for column in resource.columns), *resource.selectable):
        plain = path.partition("[?")[0] + "[]" + path.partition(")]")[2] if "[?" in path else path
        assert plain in known or plain == ".metadata.creationTimestamp"


def test_the_kinds_are_the_ones_that_have_examples() -> None:
    """Every kind is tried on the API server."""
    assert {resource.model.__name__ for resource in RESOURCES} == set(FULL)
