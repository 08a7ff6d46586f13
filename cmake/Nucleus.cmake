# Compiler settings, third-party libraries and the three functions every folder uses:
#   nucleus_library(NAME SOURCES ... LINKS ...)   a static library nucleus_NAME, alias nucleus::NAME
#   nucleus_test(NAME SOURCES ... LINKS ... [LABELS ...])   a GoogleTest binary
#   nucleus_fuzzer(NAME SOURCES ... LINKS ...)    a libFuzzer binary, where NUCLEUS_FUZZ is on
# A library sees only what it links: include paths start at the repository root, but a header whose target is not
# linked has undefined symbols, and tests/lint checks the include direction itself.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(nucleus_options INTERFACE)
target_include_directories(nucleus_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(nucleus_options INTERFACE _GNU_SOURCE NUCLEUS_VERSION="${PROJECT_VERSION}")
target_compile_options(nucleus_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Wimplicit-fallthrough
  -fstack-protector-strong -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
target_link_options(nucleus_options INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  # False alarms of this compiler's optimiser in the standard library (GCC bugs 105329, 105651) and in nlohmann/json.
  target_compile_options(nucleus_options INTERFACE -Wno-restrict -Wno-dangling-pointer)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # A false alarm on moving out of a std::optional that was tested (GCC bug 80635).
  target_compile_options(nucleus_options INTERFACE -Wno-maybe-uninitialized)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
  # std::stable_sort of GCC 12's library uses what that library deprecates.
  target_compile_options(nucleus_options INTERFACE -Wno-deprecated-declarations)
endif()
if(NUCLEUS_SANITIZE)
  target_compile_definitions(nucleus_options INTERFACE NUCLEUS_SANITIZED)
  target_compile_options(nucleus_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(nucleus_options INTERFACE -fsanitize=address,undefined)
endif()
if(NUCLEUS_FUZZ)
  target_compile_options(nucleus_options INTERFACE -fsanitize=fuzzer-no-link)
  add_custom_target(fuzzers)
endif()
# A section for each function: what nothing refers to is left out, and what a start executes can be laid out together.
# A debug or sanitized build has neither.
foreach(kind RELEASE RELWITHDEBINFO MINSIZEREL)
  string(APPEND CMAKE_CXX_FLAGS_${kind} " -ffunction-sections")
endforeach()
set(NUCLEUS_FUNCTION_SECTIONS OFF)
if(CMAKE_BUILD_TYPE MATCHES "^(Release|RelWithDebInfo|MinSizeRel)$")
  set(NUCLEUS_FUNCTION_SECTIONS ON)
endif()

# Third-party libraries. Static where Debian has an archive: it starts faster than the dynamic loader and the binary
# runs on another release of the distribution. Header-only use of fmt, toml++ and nlohmann/json.
function(nucleus_third_party name archive)
  find_library(NUCLEUS_LIB_${name} NAMES ${archive} REQUIRED)
  add_library(third_party_${name} INTERFACE)
  target_link_libraries(third_party_${name} INTERFACE ${NUCLEUS_LIB_${name}} ${ARGN})
endfunction()
nucleus_third_party(nettle libnettle.a)
nucleus_third_party(sqlite libsqlite3.a m dl)
nucleus_third_party(nl libnl-3.a)
nucleus_third_party(nl_route libnl-route-3.a third_party_nl)
nucleus_third_party(seccomp libseccomp.a)
nucleus_third_party(cares libcares.a)
target_include_directories(third_party_nl SYSTEM INTERFACE /usr/include/libnl3)
add_library(third_party_fmt INTERFACE)
target_compile_definitions(third_party_fmt INTERFACE FMT_HEADER_ONLY=1)
add_library(third_party_toml INTERFACE)
target_compile_definitions(third_party_toml INTERFACE TOML_HEADER_ONLY=1 TOML_EXCEPTIONS=0 TOML_ENABLE_FORMATTERS=0)
add_library(third_party_json INTERFACE)
add_library(third_party_cli11 INTERFACE)
add_library(third_party_spdlog INTERFACE)
target_compile_definitions(third_party_spdlog INTERFACE SPDLOG_FMT_EXTERNAL_HO=1)

if(NUCLEUS_TESTS)
  find_package(GTest REQUIRED)
  find_library(NUCLEUS_RAPIDCHECK librapidcheck.a REQUIRED)
  add_library(third_party_rapidcheck INTERFACE)
  target_link_libraries(third_party_rapidcheck INTERFACE ${NUCLEUS_RAPIDCHECK})
  enable_testing()
endif()

# What runs before the C library is up: there is no canary yet, and a loop must stay a loop and an array without a first
# value one, for memset(3) and its like are called by way of a table that is not relocated.
function(nucleus_before_libc source)
  set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON
    COMPILE_OPTIONS "-O2;-fno-stack-protector;-fno-builtin;-ftrivial-auto-var-init=uninitialized;$<$<CXX_COMPILER_ID:GNU>:-fno-tree-loop-distribute-patterns>")
endfunction()

function(nucleus_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(nucleus_${name} STATIC ${ARG_SOURCES})
  add_library(nucleus::${name} ALIAS nucleus_${name})
  target_link_libraries(nucleus_${name} PUBLIC nucleus_options ${ARG_LINKS})
endfunction()

function(nucleus_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;LABELS" ${ARGN})
  if(NOT NUCLEUS_TESTS)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} third_party_rapidcheck GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  # What is tested is optimised. Of the tests' own code that takes longer than it saves.
  target_compile_options(${name} PRIVATE $<IF:$<BOOL:${NUCLEUS_SANITIZE}>,-O0,-O1>)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 300)
endfunction()

function(nucleus_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  if(NOT NUCLEUS_FUZZ)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers ${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
endfunction()
