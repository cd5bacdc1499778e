"""The host refuses what PythonQt refuses, and offers what PythonQt offers."""

import ctk
import pytest
import qt
import slicer

import host as host_package
import tiny_module
from host.refusals import PythonQtRefuses, check_file


@pytest.fixture
def button(scene):
    return qt.QPushButton("Apply")


def test_a_property_is_an_attribute_to_read_and_to_write(button):
    button.text = "Run"
    button.enabled = False
    assert (button.text, button.enabled) == ("Run", False)


def test_calling_a_property_fails(button):
    with pytest.raises(TypeError):
        button.text()


@pytest.mark.parametrize("name", ["setText", "setEnabled", "isEnabled", "setToolTip", "isVisible"])
def test_getters_and_setters_of_properties_are_hidden(button, name):
    assert not hasattr(button, name)


@pytest.mark.parametrize("name", ["setLayout", "setFocus", "setAttribute", "children", "parent"])
def test_what_is_no_property_is_a_method(button, name):
    assert callable(getattr(button, name))


def test_getters_of_every_form_become_attributes(scene):
    line, text, timer = qt.QLineEdit("abc"), qt.QPlainTextEdit("text"), qt.QTimer()
    line.selectAll()
    assert (line.selectedText, text.plainText, timer.active) == ("abc", "text", False)
    timer.interval = 40
    assert timer.interval == 40
    assert not hasattr(text, "toPlainText")


def test_a_virtual_setter_is_hidden_from_code_but_not_from_qt(button):
    with pytest.raises(AttributeError, match="visible"):
        button.setVisible(True)
    button.show()
    assert button.visible
    assert button.sizeHint.width() > 0
    button.close()


def test_an_unknown_attribute_cannot_be_set(button):
    with pytest.raises(AttributeError, match="colour"):
        button.colour = "red"


def test_a_read_only_property_cannot_be_set(button):
    with pytest.raises(AttributeError, match="read-only"):
        button.width = 30


def test_a_value_of_the_wrong_type_is_refused():
    with pytest.raises(ValueError, match="value"):
        qt.QSpinBox().value = "many"


def test_a_class_derived_in_python_holds_attributes(scene):
    class Meter(qt.QWidget):
        moved = qt.Signal(int)

        def __init__(self):
            super().__init__()
            self.count = 0
            self.moved.connect(self._add)

        def _add(self, step):
            self.count += step

    meter = Meter()
    meter.moved.emit(3)
    meter.windowTitle = "Meter"
    assert (meter.count, meter.windowTitle) == (3, "Meter")


def test_name_is_the_object_name(button):
    button.name = "applyButton"
    assert button.objectName == button.name == "applyButton"


def test_class_name_is_a_method(button):
    assert button.className() == "QPushButton"
    assert ctk.ctkSliderWidget().className() == "ctkSliderWidget"


def test_a_signal_connects_by_attribute_and_by_signature(button):
    heard = []
    button.clicked.connect(lambda: heard.append("attribute"))
    assert button.connect("clicked(bool)", lambda on: heard.append(on))
    assert button.connect("clicked()", lambda: heard.append("nothing"))
    button.click()
    assert heard == ["attribute", False, "nothing"]


@pytest.mark.parametrize("signature", ["clicke(bool)", "clicked(int)", "clicked"])
def test_an_unknown_signature_raises_where_the_application_only_prints(button, signature):
    with pytest.raises(ValueError, match="clicke"):
        button.connect(signature, print)


def test_a_connection_by_signature_can_be_undone(button):
    heard = []
    button.connect("clicked()", heard.append)
    assert button.disconnect("clicked()", heard.append)
    button.click()
    assert heard == []


def test_lists_in_variants_come_back_as_tuples(scene):
    combo = qt.QComboBox()
    combo.addItem("two", [1, 2])
    combo.setProperty("numbers", [1, 2])
    assert combo.itemData(0) == combo.currentData == combo.property("numbers") == (1, 2)


def test_current_data_is_an_attribute(scene):
    combo = qt.QComboBox()
    combo.addItem("one", 1)
    assert (combo.currentData, combo.currentText, combo.currentIndex, combo.count) == (
        1,
        "one",
        0,
        1,
    )


def test_ctk_widgets_have_attributes_and_no_setters(scene):
    slider = ctk.ctkSliderWidget()
    slider.maximum = 10
    slider.value = 4
    assert (slider.value, slider.maximum) == (4, 10)
    assert not hasattr(slider, "setValue")
    with pytest.raises(AttributeError):
        slider.valeu = 4


def test_one_namespace_holds_all_of_qt(scene):
    for name in ("QTimer", "QIcon", "QLabel", "QSettings", "QProcess", "QUiLoader", "Qt"):
        assert hasattr(qt, name)
    assert not hasattr(qt, "QtWidgets")


def test_timers_processes_and_event_loops_work(scene):
    heard = []
    qt.QTimer.singleShot(1, lambda: heard.append("once"))
    process = qt.QProcess()
    process.finished.connect(lambda code, status: heard.append(code))
    process.start("true", [])
    host_package.pump(until=lambda: len(heard) == 2, timeout=10)
    assert set(heard) == {"once", 0}


def test_a_timer_s_single_shot_property_is_refused(scene):
    timer = qt.QTimer()
    timer.interval = 20
    with pytest.raises(AttributeError, match="singleShot"):
        timer.singleShot = True


@pytest.mark.parametrize(
    "line",
    [
        "qt.QLabel('text', wordWrap=True)",
        "ctk.ctkSliderWidget(minimum=3)",
        "isinstance(widget, qt.QPushButton)",
        "isinstance(widget, (int, qt.QWidget))",
    ],
)
def test_code_that_pythonqt_cannot_run_is_refused_before_it_runs(tmp_path, line):
    path = tmp_path / "Faulty.py"
    path.write_text(f"import qt, ctk\n\ndef f(widget):\n    return {line}\n")
    with pytest.raises(PythonQtRefuses, match=r"Faulty.py:4"):
        check_file(path)


def test_a_package_of_a_module_is_checked_when_it_is_imported(tmp_path, scene):
    source = tiny_module.SOURCE + "\nimport FaultyPart\n"
    (tmp_path / "FaultyPart.py").write_text("import qt\nlabel = lambda: qt.QLabel(text='x')\n")
    with pytest.raises(ValueError, match="keyword"):
        host_package.loadModule(tiny_module.write(tmp_path, source))


def test_settings_are_kept_in_a_temporary_file(scene):
    settings = qt.QSettings()
    settings.setValue("MicroCTSR/test", [1, 2])
    assert tuple(map(int, settings.value("MicroCTSR/test"))) == (1, 2)
    assert slicer.app.slicerUserSettingsFilePath == settings.fileName()
    settings.remove("MicroCTSR/test")
