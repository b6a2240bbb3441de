"""TOML files, changed in place."""

import pytest

from gateway.cli.clients import toml_text
from gateway.cli.clients.tree import Default, EditError, Tree

WANTED: Tree = {
    "model": "m",
    "theme": Default("dark"),
    "providers": {"ours": {"name": "Ours", "url": "u"}},
}


def test_a_new_file() -> None:
    assert toml_text.render(WANTED) == (
        'model = "m"\ntheme = "dark"\n\n[providers.ours]\nname = "Ours"\nurl = "u"\n'
    )


def test_everything_else_stays_as_it_is() -> None:
    before = '# mine\napproval = "never" # careful\n\n[tools]\nweb  =  true\n'
    after = toml_text.edit(before, WANTED)
    for line in before.splitlines():
        assert line in after.splitlines()
    assert after.index('model = "m"') < after.index("[tools]") < after.index("[providers.ours]")
    assert toml_text.edit(after, WANTED) == after


def test_values_of_ours_are_brought_up_to_date_and_others_kept() -> None:
    before = 'theme = "light"\n\n[providers.ours]\nurl = "old" # was\nretries = 3\n'
    after = toml_text.edit(before, WANTED)
    assert toml_text.read(after) == {
        "theme": "light",
        "model": "m",
        "providers": {"ours": {"name": "Ours", "url": "u", "retries": 3}},
    }
    assert "# was" in after


def test_an_inline_table_stays_one() -> None:
    after = toml_text.edit('providers = { other = { name = "x" } }\n', WANTED)
    assert toml_text.read(after)["providers"]["ours"] == {"name": "Ours", "url": "u"}
    assert "[providers" not in after


def test_what_is_not_toml_is_refused_with_its_line() -> None:
    with pytest.raises(EditError, match="line 2"):
        toml_text.read("a = 1\nb = \n")
