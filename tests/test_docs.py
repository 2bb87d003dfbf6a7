"""The README and the guide tell of every command and every condition."""

from pathlib import Path

from console.commands import registry
from console.fleet.query import FLAGS
from console.registry import Face

ROOT = Path(__file__).resolve().parent.parent


def test_every_verb_is_in_the_readme():
    text = (ROOT / "README.md").read_text("utf-8")
    for command in registry.of(Face.CLI):
        assert f"`{command.id.replace('.', ' ')}" in text, command.id
        assert command.doc
        for parameter in command.parameters:
            assert parameter.help, f"{command.id} {parameter.name}"
            assert parameter.name.replace("_", "-").lower() in text.lower(), f"{command.id} --{parameter.name}"


def test_every_window_command_says_what_it_does():
    assert all(c.doc.endswith(".") and c.title for c in registry.of(Face.WINDOW))


def test_the_guide_names_the_states_a_filter_knows():
    text = (ROOT / "docs" / "guide.md").read_text("utf-8")
    assert sum(f"is:{flag}" in text for flag in FLAGS) >= 6


def test_the_gate_is_the_readmes_test_command():
    assert "python3 dev.py test" in (ROOT / "README.md").read_text("utf-8")
    assert "python3 dev.py test" in (ROOT / ".ci" / "run").read_text("utf-8")
