"""The host's scene is the application's: default nodes, logics, files, layouts and views."""

import numpy as np
import pytest
import slicer
import vtk

import host as host_package

RED = np.array((243, 74, 51))
COMPARE = """<layout type="horizontal">
 <item><view class="vtkMRMLSliceNode" singletontag="Red">
  <property name="orientation" action="default">Axial</property></view></item>
 <item><view class="vtkMRMLSliceNode" singletontag="Result">
  <property name="orientation" action="default">Axial</property>
  <property name="viewlabel" action="default">SR</property>
  <property name="viewcolor" action="default">#88AA33</property></view></item>
</layout>"""


def add_ct(shape=(20, 30, 40), spacing=0.5):
    """A CT with a bright block in the middle of a dark box."""
    values = np.full(shape, -1000, np.int16)
    values[8:12, 10:20, 10:30] = 1000
    matrix = slicer.util.vtkMatrixFromArray(np.diag((spacing, spacing, spacing, 1)))
    node = slicer.util.addVolumeFromArray(values, matrix, "CT")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevelMinMax(-1000, 1000)
    return node


def slice_image(name="Red", size=(200, 160)):
    return slicer.app.layoutManager().sliceWidget(name).sliceView().image(size)


@pytest.fixture
def ct(scene):
    """The CT, shown in the slice views."""
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    node = add_ct()
    slicer.util.setSliceViewerLayers(
        background=node, foreground=None, label=None, fit=True, rotateToVolumePlane=True
    )
    for name in manager.sliceViewNames():
        manager.sliceWidget(name).sliceLogic().SetSliceOffset(4.75)
    return node


@pytest.mark.parametrize(
    "class_name",
    [
        "vtkMRMLSelectionNode",
        "vtkMRMLInteractionNode",
        "vtkMRMLCrosshairNode",
        "vtkMRMLLayoutNode",
        "vtkMRMLSubjectHierarchyNode",
        "vtkMRMLViewNode",
    ],
)
def test_the_default_nodes_are_there(scene, class_name):
    assert scene.GetNumberOfNodesByClass(class_name) >= 1


@pytest.mark.parametrize("name", ["Inferno", "Magma", "Plasma", "Viridis", "Cividis"])
def test_the_colour_maps_that_are_files_in_the_application_are_there(scene, name):
    node = scene.GetNodeByID(f"vtkMRMLColorTableNodeFile{name}.txt")
    assert (node.GetName(), node.GetNumberOfColors()) == (name, 256)


@pytest.mark.parametrize(
    "name", ["volumes", "segmentations", "markups", "colors", "cropvolume", "volumerendering"]
)
def test_modules_hand_out_real_logics_that_know_the_scene(scene, name):
    logic = getattr(slicer.modules, name).logic()
    assert logic.GetMRMLScene() is scene


def test_a_volume_file_is_loaded_shown_and_saved(scene, tmp_path):
    path = tmp_path / "ear.nrrd"
    node = add_ct()
    assert slicer.util.saveNode(node, str(path))
    loaded = slicer.util.loadVolume(path)
    assert loaded.GetName() == "ear"
    assert np.array_equal(slicer.util.arrayFromVolume(loaded), slicer.util.arrayFromVolume(node))
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == loaded.GetID()


def test_loading_a_file_that_is_not_there_raises(scene, tmp_path):
    with pytest.raises(RuntimeError, match=r"nothing\.nrrd"):
        slicer.util.loadVolume(tmp_path / "nothing.nrrd")


def test_data_nodes_enter_and_leave_the_subject_hierarchy(scene):
    node = add_ct()
    hierarchy = scene.GetSubjectHierarchyNode()
    assert hierarchy.GetItemByDataNode(node)
    scene.RemoveNode(node)
    assert slicer.util.getSubjectHierarchyItemChildren() == []


def test_a_saved_scene_is_loaded_with_its_hierarchy(scene, tmp_path):
    node = add_ct()
    hierarchy = scene.GetSubjectHierarchyNode()
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Results")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), folder)
    slicer.util.saveNode(node, str(tmp_path / "CT.nrrd"))
    assert slicer.util.saveScene(str(tmp_path / "scene.mrml"))
    host_package.closeScene()
    slicer.util.loadScene(tmp_path / "scene.mrml")
    hierarchy = scene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(slicer.util.getNode("CT"))
    assert hierarchy.GetItemName(hierarchy.GetItemParent(item)) == "Results"


def test_the_segment_editor_keeps_what_it_is_told(scene):
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    editor.setSegmentationNode(node)
    editor.setActiveEffectByName("Grow from seeds")
    assert editor.mrmlSegmentEditorNode().GetSegmentationNode() is node
    assert editor.activeEffect().name == "Grow from seeds"
    with pytest.raises(ValueError, match="Grow"):
        editor.setActiveEffectByName("Grow from nothing")


def test_a_layout_gets_a_slice_widget_for_every_view_it_names(scene):
    manager = slicer.app.layoutManager()
    heard = []
    manager.layoutChanged.connect(lambda layout: heard.append(layout))
    node = manager.layoutLogic().GetLayoutNode()
    if not node.IsLayoutDescription(777):
        node.AddLayoutDescription(777, COMPARE)
    manager.setLayout(777)
    widget = manager.sliceWidget("Result")
    assert manager.layout == 777 == heard[-1]
    assert widget.mrmlSliceNode().GetLayoutLabel() == "SR"
    assert widget.mrmlSliceCompositeNode() is not widget.mrmlSliceNode()
    assert manager.sliceWidget("Nothing") is None
    green = manager.sliceWidget("Green").mrmlSliceNode()
    assert (widget.mrmlSliceNode().IsMappedInLayout(), green.IsMappedInLayout()) == (True, False)
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def test_a_slice_view_shows_the_volume_in_its_window(ct):
    image = slice_image()
    rows, columns, _ = image.shape
    assert (rows, columns) == (160, 200)
    assert np.all(image[rows // 2, columns // 2] == 255)
    assert np.all(image[2, columns // 2] == 0)


def test_a_foreground_is_blended_in_its_colours(ct):
    matrix = vtk.vtkMatrix4x4()
    ct.GetIJKToRASMatrix(matrix)
    values = np.full(slicer.util.arrayFromVolume(ct).shape, 100, np.float32)
    over = slicer.util.addVolumeFromArray(values, matrix, "over")
    over.CreateDefaultDisplayNodes()
    display = over.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeFileInferno.txt")
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0, 100)
    before = slice_image().astype(float)
    slicer.util.setSliceViewerLayers(foreground=over, foregroundOpacity=0.5)
    after = slice_image().astype(float)
    top = np.array(slicer.util.getNode("Inferno").GetLookupTable().GetTableValue(255)[:3]) * 255
    centre = (80, 100)
    assert after[centre] == pytest.approx(0.5 * before[centre] + 0.5 * top, abs=3)
    display.SetThreshold(200, 300)
    display.ApplyThresholdOn()
    assert slice_image().astype(float)[centre] == pytest.approx(before[centre], abs=1)


def test_segments_and_boxes_are_drawn_over_a_slice(ct):
    before = slice_image()
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    name = segmentation.GetSegmentation().AddEmptySegment("a", "a", (0.0, 1.0, 0.0))
    mask = (slicer.util.arrayFromVolume(ct) > 0).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, name, ct)
    green = slice_image()[80, 100].astype(int)
    assert green[1] > green[0] + 30
    slicer.mrmlScene.RemoveNode(segmentation)
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.CreateDefaultDisplayNodes()
    roi.SetCenter(10, 7.5, 4.75)
    roi.SetSize(8, 6, 4)
    assert np.abs(slice_image().astype(int) - before).sum() > 10_000


def test_a_colour_legend_is_drawn(ct):
    before = slice_image(size=(300, 300))
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(ct)
    legend.SetTitleText("HU")
    after = slice_image(size=(300, 300))
    changed = np.nonzero(np.any(before != after, axis=2))
    assert changed[1].min() > 150  # on the right


def test_a_legend_is_drawn_in_a_view_that_nobody_had_looked_at(ct):
    manager = slicer.app.layoutManager()
    node = manager.layoutLogic().GetLayoutNode()
    if not node.IsLayoutDescription(778):
        node.AddLayoutDescription(778, COMPARE.replace("Result", "Fresh"))
    manager.setLayout(778)
    widget = manager.sliceWidget("Fresh")
    widget.mrmlSliceCompositeNode().SetBackgroundVolumeID(ct.GetID())
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(ct)
    with_legend = slice_image("Fresh", (300, 300)).astype(int)
    legend.SetVisibility(False)
    assert np.abs(slice_image("Fresh", (300, 300)) - with_legend)[:, 150:].sum() > 10_000
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def test_what_code_adds_to_a_view_is_drawn(ct):
    view = slicer.app.layoutManager().sliceWidget("Green").sliceView()
    before = view.image((200, 160))
    actor = vtk.vtkTextActor()
    actor.SetInput("SYNTHETIC")
    actor.SetPosition(5, 5)
    renderer = view.renderWindow().GetRenderers().GetFirstRenderer()
    renderer.AddViewProp(actor)
    after = view.image((200, 160))
    renderer.RemoveViewProp(actor)
    assert np.any(before != after, axis=2)[120:, :120].sum() > 100
    view.cornerAnnotation().SetText(2, "upper left")
    assert np.any(view.image((200, 160)) != before, axis=2)[:40].sum() > 50
    view.cornerAnnotation().ClearAllTexts()


def test_asking_for_a_render_is_counted(ct):
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    before = view.scheduled_renders
    view.scheduleRender()
    assert view.scheduled_renders == before + 1


def test_the_space_view_shows_surfaces(ct):
    view = slicer.app.layoutManager().threeDWidget(0).threeDView()
    before = view.image((200, 160))
    source = vtk.vtkSphereSource()
    source.SetRadius(20)
    source.Update()
    model = slicer.modules.models.logic().AddModel(source.GetOutput())
    model.GetDisplayNode().SetColor(1, 0, 0)
    view.resetFocalPoint()
    after = view.image((200, 160))
    assert after[80, 100, 0] > 100 > after[80, 100, 2]
    red = (after[..., 0] > 60) & (after[..., 2] < 60)
    assert red.mean() > 0.15  # it fills the view
    assert before[80, 100, 2] > 150  # Slicer's blue


def test_dragging_turns_the_space_view(ct):
    view = slicer.app.layoutManager().threeDWidget(0).threeDView()
    before = view.cameraNode().GetCamera().GetPosition()
    slicer.util.clickAndDrag(view, start=(50, 50), end=(150, 90))
    assert view.cameraNode().GetCamera().GetPosition() != pytest.approx(before)


def test_the_window_shows_the_panel_the_bars_and_the_views(ct, tmp_path):
    import tiny_module

    host_package.loadModule(tiny_module.write(tmp_path))
    host_package.openModule("Tiny")
    picture = host_package.pictures.window("Tiny", (1000, 700), panel_width=400)
    assert picture.shape == (700, 1000, 3)
    bar = np.abs(picture[:, 410:690].astype(int) - RED).sum(axis=2) < 12
    assert 15 < bar.any(axis=1).sum() < 40  # the red view's bar
    assert picture[:, 400:].std() > 40
    host_package.pictures.save(picture, tmp_path / "window.png")
    assert (tmp_path / "window.png").stat().st_size > 10_000
    # The panel is the module's again, and open.
    panel = slicer.modules.tiny.widgetRepresentation()
    assert panel.parent() is None
    assert panel.visible
    slicer.modules.TinyWidget.cleanup()
    slicer.util.selectModule("Data")


def test_a_chart_is_drawn_as_its_nodes_say(scene):
    from host import plots

    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    for name, values in (("x", (0.0, 1.0, 2.0)), ("y", (5.0, np.nan, 5.0))):
        column = vtk.vtkDoubleArray()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        table.AddColumn(column)
    series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode")
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName("x")
    series.SetYColumnName("y")
    series.SetMarkerStyle(series.MarkerStyleSquare)
    series.SetColor(1.0, 0.0, 0.0)
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode")
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetLegendVisibility(False)
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(0.0, 10.0)
    view = scene.AddNewNodeByClass("vtkMRMLPlotViewNode")
    view.SetPlotChartNodeID(chart.GetID())

    picture = plots.image(view, (400, 300)).astype(int)
    red = np.argwhere((picture[..., 0] > 150) & (picture[..., 1:].max(axis=-1) < 100))
    # Two points at half of the height, far apart; none between, where there is no number.
    assert len(red) > 10
    assert np.ptp(red[:, 1]) > 250
    assert not np.any(np.abs(red[:, 1] - red[:, 1].mean()) < 50)
    assert abs(red[:, 0].mean() - 135) < 25

    widget = plots.table_widget(_table_view(scene, table))
    assert (widget.rowCount, widget.columnCount) == (3, 2)
    assert widget.item(0, 1).text() == "5"


def _table_view(scene, table):
    view = scene.AddNewNodeByClass("vtkMRMLTableViewNode")
    view.SetTableNodeID(table.GetID())
    return view
