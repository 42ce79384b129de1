from tests.architecture import PAGE, module_list, page_with


def test_architecture_page_lists_every_module_with_its_docstring() -> None:
    """A newcomer finds every module, with what it is for, in docs/architecture.md; `make docs` mends it."""
    assert PAGE.read_text(encoding="utf-8") == page_with(module_list())


def test_module_list_names_modules_by_their_own_words() -> None:
    """The list is made from the docstrings themselves and covers all three packages."""
    modules = module_list()
    assert "**solver**: " in modules
    assert "**autoslicer.core**: " in modules
    assert "**simulations**: " in modules
    assert '- `reasons`: Every "why not", in one enum' in modules
