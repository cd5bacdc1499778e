# The description that the Extensions Manager shows, a line for each value as in Slicer, which
# hands the values on unquoted.
set(_description "")
foreach(name HOMEPAGE CATEGORY CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  if("${EXTENSION_${name}}" STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${name} is not set")
  endif()
  if("${EXTENSION_${name}}" MATCHES "[;\n]")
    message(FATAL_ERROR "EXTENSION_${name} would be cut at its semicolon or line's end")
  endif()
  string(TOLOWER "${name}" _key)
  string(APPEND _description "${_key} ${EXTENSION_${name}}\n")
endforeach()
foreach(name README_FILE LICENSE_FILE)
  if(NOT EXISTS "${EXTENSION_${name}}")
    message(FATAL_ERROR "EXTENSION_${name} names no file: ${EXTENSION_${name}}")
  endif()
endforeach()
file(WRITE "${CMAKE_BINARY_DIR}/${EXTENSION_NAME}.s4ext" "${_description}")
install(
  FILES "${CMAKE_BINARY_DIR}/${EXTENSION_NAME}.s4ext"
  DESTINATION "${Slicer_INSTALL_ROOT}${Slicer_SHARE_DIR}"
)
include(CPack)
