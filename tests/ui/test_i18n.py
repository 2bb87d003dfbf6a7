"""Languages: catalogues, number forms, the longer language, and a window from right to left."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QLabel

from console.ui import catalogue, i18n
from console.ui.text import left_to_right, tr

ROOM = Path(i18n.__file__).parent
SHOWN_BY = {
    "PlainLabel",
    "QPushButton",
    "setText",
    "setPlaceholderText",
    "setAccessibleName",
    "addItem",
    "Panel",
    "setWindowTitle",
}
NAMES = {"Cardkeeper", "CPU", "UTC", "Ctrl+K", "    Ctrl+K", "?"}


def sources():
    for path in sorted(ROOM.rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"))


def test_every_catalogue_is_sound_and_has_only_texts_that_exist():
    known = catalogue.source_texts()
    assert len(known) > 200
    for path in i18n.TRANSLATIONS.glob("*.toml"):
        language = i18n.read_language(path)
        assert set(language.texts) <= set(known), path


def test_every_counted_text_has_its_english_forms():
    english = i18n.read_language(i18n.TRANSLATIONS / "en.toml").texts
    assert {t for t in catalogue.source_texts() if "%n" in t} == set(english)


def test_tr_is_given_whole_texts():
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr":
                kinds = (ast.Constant, ast.Name, ast.Attribute, ast.Subscript)
                assert isinstance(node.args[0], kinds), f"{path.name}:{node.lineno} builds the text given to tr()"


def test_placeholders_are_names_alone():
    """A translator keeps {name}; how a number is written is not his business, and would be translated too."""
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr":
                text = getattr(node.args[0], "value", "")
                if isinstance(text, str):
                    for place in re.findall(r"\{([^}]*)\}", text):
                        assert place.isidentifier(), f"{path.name}:{node.lineno}: {{{place}}}"


def test_words_on_widgets_go_through_tr():
    for path, tree in sources():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[0]
            if name in SHOWN_BY and isinstance(first, ast.Constant) and isinstance(first.value, str):
                has_words = any(c.isalpha() for c in first.value)
                assert not has_words or first.value in NAMES, f"{path.name}:{node.lineno}: {first.value!r}"


@pytest.mark.parametrize(
    ("code", "forms"),
    [
        ("en", {1: 0, 0: 1, 2: 1}),
        ("fr", {0: 0, 1: 0, 2: 1}),
        ("zh", {0: 0, 7: 0}),
        ("ru", {1: 0, 21: 0, 11: 2, 3: 1, 13: 2, 5: 2}),
        ("ar", {0: 0, 1: 1, 2: 2, 3: 3, 10: 3, 11: 4, 99: 4, 100: 5, 103: 3, 111: 4}),
    ],
)
def test_number_forms(code, forms):
    count, form = i18n.FORMS[code]
    assert {n: form(n) for n in forms} == forms
    assert max(forms.values()) < count


def write(tmp_path, code, text):
    path = tmp_path / f"{code}.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_catalogue_is_used_and_what_it_lacks_stays_english(tmp_path, qapp):
    body = '[language]\nname = "Deutsch"\n[text]\n"Fleet" = "Flotte"\n"%n cards" = ["%n Karte", "%n Karten"]\n"Nodes" = ""\n'
    language = i18n.read_language(write(tmp_path, "de", body))
    translator = i18n.Catalogue(language, qapp)
    qapp.installTranslator(translator)
    try:
        assert (tr("Fleet"), tr("Nodes"), tr("Events")) == ("Flotte", "Nodes", "Events")
        assert (tr("%n cards", 1), tr("%n cards", 12)) == ("1 Karte", "12 Karten")
    finally:
        qapp.removeTranslator(translator)
    assert (tr("%n cards", 1), tr("%n cards", 12)) == ("1 card", "12 cards")


@pytest.mark.parametrize(
    ("code", "body", "said"),
    [
        ("de", '[text]\n"%n cards" = ["%n Karten"]', "needs 2 forms"),
        ("de", '[text]\n"Copied: {text}" = "Kopiert: {name}"', "places"),
        ("tlh", '[text]\n"Fleet" = "yo"', "no number forms"),
    ],
)
def test_a_bad_catalogue_says_what_is_wrong(tmp_path, code, body, said):
    with pytest.raises(ValueError, match=said):
        i18n.read_language(write(tmp_path, code, body))


def test_a_new_catalogue_has_every_text_and_keeps_what_was_done():
    made = tomllib.loads(catalogue.catalogue("ar", {"Fleet": "الأسطول"}, {"name": "العربية", "right_to_left": True}))
    assert made["language"] == {"name": "العربية", "right_to_left": True}
    assert made["text"]["Fleet"] == "الأسطول"
    assert made["text"]["%n cards"] == [""] * 6
    assert set(made["text"]) == set(catalogue.source_texts())


@pytest.fixture
def pseudo(qapp):
    translator = i18n.Pseudo(qapp)
    qapp.installTranslator(translator)
    yield
    qapp.removeTranslator(translator)


def test_in_a_longer_language_nothing_pushes_the_window_wider(pseudo, window):
    for width in (1366, 1440):
        window.frame.resize(width, 768)
        for page, argument in (("fleet", ""), ("nodes", ""), ("settings", ""), ("events", "")):
            window.go(page, argument)
            window.context.select("GPU-gpu01-0")
            window.pump()
            assert window.frame.width() == width, page
            assert window.minimumSizeHint().width() <= width, page
    assert window.rail._buttons["fleet"].text().startswith("[")


def test_buttons_show_their_whole_words_in_a_longer_language(pseudo, window):
    window.frame.resize(1440, 900)
    window.context.select("GPU-gpu01-0")
    window.pump()
    for button in window.findChildren(QAbstractButton):
        if button.isVisible() and button.text() and button.parent().objectName() != "rail":
            assert button.width() >= button.fontMetrics().horizontalAdvance(button.text()), button.text()


@pytest.fixture
def mirrored(qapp):
    qapp.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    yield
    qapp.setLayoutDirection(Qt.LayoutDirection.LeftToRight)


def test_right_to_left_mirrors_the_window_but_not_the_numbers(mirrored, window):
    window.context.select("GPU-gpu01-0")
    window.pump()
    assert window.rail.x() > window.inspector.x()
    assert left_to_right("84\u2009%") == "\u206684\u2009%\u2069"
    window.run("fleet.toggle")
    assert window.fleet_page.model.index(0, 3).data() == "\u206691\u2009%\u2069"
    values = [v for _, v, _ in window.inspector._facts._rows]
    assert all(v.layoutDirection() == Qt.LayoutDirection.LeftToRight for v in values)
    assert window.fleet_page.filter.edit.layoutDirection() == Qt.LayoutDirection.LeftToRight


def test_left_to_right_adds_nothing_where_it_is_not_needed(qapp):
    assert left_to_right("84\u2009%") == "84\u2009%"


def test_labels_of_the_window_are_translated(pseudo, window):
    data = {"gpu01", "gpu02", "test"}
    for label in window.header.findChildren(QLabel):
        text = label.text()
        assert not any(c.isalpha() for c in text) or "[" in text or text in data, text
