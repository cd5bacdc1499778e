# An extension is named as its project; its tests are built unless BUILD_TESTING says otherwise.
set(EXTENSION_NAME "${PROJECT_NAME}")
include(CTest)

# slicerMacroBuildScriptedModule(NAME <name> SCRIPTS <file>... RESOURCES <file>...
#                                [WITH_GENERIC_TESTS])
# Copies the files to the build tree's folder of scripted modules, each at its path below the
# module's folder, and installs whatever lies in that folder then, bytecode aside.
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MODULE "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MODULE_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown to slicerMacroBuildScriptedModule: ${MODULE_UNPARSED_ARGUMENTS}")
  endif()
  foreach(argument NAME SCRIPTS RESOURCES)
    if(NOT MODULE_${argument})
      message(FATAL_ERROR "slicerMacroBuildScriptedModule needs ${argument}")
    endif()
  endforeach()

  set(_folder "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
  set(_copies)
  foreach(file ${MODULE_SCRIPTS} ${MODULE_RESOURCES})
    if(IS_ABSOLUTE "${file}" OR "${file}" MATCHES "\\.\\.")
      message(FATAL_ERROR "${file} would land outside the folder of scripted modules")
    endif()
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
      message(FATAL_ERROR "slicerMacroBuildScriptedModule: there is no ${file}")
    endif()
    add_custom_command(
      OUTPUT "${_folder}/${file}"
      DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${file}"
      COMMAND ${CMAKE_COMMAND} -E copy "${CMAKE_CURRENT_SOURCE_DIR}/${file}" "${_folder}/${file}"
    )
    list(APPEND _copies "${_folder}/${file}")
  endforeach()
  add_custom_target(Copy${MODULE_NAME} ALL DEPENDS ${_copies})
  install(
    DIRECTORY "${_folder}/"
    DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}"
    USE_SOURCE_PERMISSIONS
  )

  if(BUILD_TESTING AND MODULE_WITH_GENERIC_TESTS)
    set(_generic_test qSlicer${MODULE_NAME}ModuleGenericTest.py)
    file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/${_generic_test}" "")
    slicer_add_python_unittest(SCRIPT ${_generic_test} TESTNAME_PREFIX nomainwindow_)
  endif()
endmacro()

# slicer_add_python_unittest(SCRIPT <file> [TESTNAME_PREFIX <prefix>] [SLICER_ARGS <argument>...])
# Registers a test named after the script. There is no Slicer to run it.
macro(slicer_add_python_unittest)
  cmake_parse_arguments(TEST "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  if(TEST_UNPARSED_ARGUMENTS OR NOT TEST_SCRIPT)
    message(FATAL_ERROR "slicer_add_python_unittest: ${ARGN}")
  endif()
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${TEST_SCRIPT}"
      AND NOT EXISTS "${CMAKE_CURRENT_BINARY_DIR}/${TEST_SCRIPT}")
    message(FATAL_ERROR "slicer_add_python_unittest: there is no ${TEST_SCRIPT}")
  endif()
  get_filename_component(_test "${TEST_SCRIPT}" NAME_WE)
  add_test(NAME py_${TEST_TESTNAME_PREFIX}${_test} COMMAND ${CMAKE_COMMAND} -E echo ${_test})
endmacro()
