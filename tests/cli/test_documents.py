import pytest

from autoslicer.cli import documents
from autoslicer.cli.failures import BadInputError


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ('{"kind": "List"}', {"kind": "List"}),
        ("kind: List\nat: 2026-01-02T00:00:00Z\n", {"kind": "List", "at": "2026-01-02T00:00:00Z"}),
        ('{"name": "\\ud83d\\ude00"}', {"name": "\U0001f600"}),
    ],
)
def test_parse_reads_json_and_yaml_as_kubernetes_does(text: str, document: object) -> None:
    """JSON and YAML are both read, and a timestamp stays the text that it is."""
    assert documents.parse(text, "x") == document


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (" \n", "x is empty; it must hold a Kubernetes object in JSON or YAML"),
        ('{"kind": "List",', "x is not readable JSON: line 1, column 17: "),
        ("kind: [List\n", "x is neither JSON nor YAML: line 2, column 1: "),
        ("a: 1\n---\nb: 2\n", "x is neither JSON nor YAML: line 2, column 1: "),
        ("[" * 100_000, "x is nested too deeply"),
        ('{"a": NaN}', "x holds a value that no Kubernetes document has: NaN is no JSON number"),
        ('{"a": "\\ud83d"}', "x holds a value that no Kubernetes document has: "),
        (
            '{"a": ' + "9" * 5000 + "}",
            "x holds a value that no Kubernetes document has: a number of thousands",
        ),
        ("a: " + "9" * 5000, "x holds a value that no Kubernetes document has: a number of thousands"),
    ],
)
def test_parse_refuses_with_the_place(text: str, sentence: str) -> None:
    """What is neither JSON nor YAML is refused with what is wrong and where."""
    with pytest.raises(BadInputError) as refused:
        documents.parse(text, "x")
    assert str(refused.value).startswith(sentence)
