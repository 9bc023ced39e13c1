# One helper per kind of target. Every target is named kvjury_NAME and has the alias kvjury::NAME; flags come from
# kvjury::flags alone, so that nothing is set for a whole directory.
#
#   kvjury_library(NAME sim SRCS clock.cc HDRS clock.h DEPS kvjury::base)
#   kvjury_proto(NAME proto_tikv PROTOS metapb.proto DEPS ...)
#   kvjury_test(NAME sim_test SRCS clock_test.cc DEPS kvjury::sim [LABELS quick|full|ports|nightly [threads]] [TIMEOUT_S 60])
#   kvjury_bench(NAME sim_bench SRCS clock_bench.cc DEPS kvjury::sim)
#   kvjury_fuzzer(NAME backupmeta_fuzzer SRCS backupmeta_fuzzer.cc DEPS kvjury::backup CORPUS dir)
#   kvjury_program(NAME kvjury SRCS main.cc DEPS ...)
#   kvjury_scenario(FILE x.case)

set(KVJURY_SANITIZE "" CACHE STRING "Sanitizers for our own targets, for example address,undefined")
option(KVJURY_FUZZ "Build the fuzzers with libFuzzer (clang only); otherwise they replay their corpus" OFF)

add_library(kvjury_flags INTERFACE)
add_library(kvjury::flags ALIAS kvjury_flags)
target_compile_features(kvjury_flags INTERFACE cxx_std_20)
target_include_directories(kvjury_flags INTERFACE "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}")
target_compile_options(kvjury_flags INTERFACE -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(kvjury_flags INTERFACE -fcoroutines)
endif()
if(KVJURY_SANITIZE)
  target_compile_options(kvjury_flags INTERFACE "-fsanitize=${KVJURY_SANITIZE}" -fno-sanitize-recover=all)
  target_link_options(kvjury_flags INTERFACE "-fsanitize=${KVJURY_SANITIZE}")
endif()
if(KVJURY_FUZZ)
  target_compile_options(kvjury_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Warnings are errors in our own text, not in generated code.
add_library(kvjury_warnings INTERFACE)
add_library(kvjury::warnings ALIAS kvjury_warnings)
target_compile_options(kvjury_warnings INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers
                       -Wnon-virtual-dtor -Woverloaded-virtual -Werror)

function(kvjury_library)
  cmake_parse_arguments(ARG "" "NAME" "HDRS;SRCS;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(kvjury_${ARG_NAME} STATIC ${ARG_SRCS} ${ARG_HDRS})
  add_library(kvjury::${ARG_NAME} ALIAS kvjury_${ARG_NAME})
  target_link_libraries(kvjury_${ARG_NAME} PUBLIC kvjury::flags ${ARG_DEPS} PRIVATE kvjury::warnings ${ARG_PRIVATE_DEPS})
endfunction()

# Protobuf messages of one folder: proto/tikv/metapb.proto becomes proto/tikv/metapb.pb.h under the build folder.
function(kvjury_proto)
  cmake_parse_arguments(ARG "" "NAME" "PROTOS;DEPS" ${ARGN})
  set(generated)
  foreach(proto ${ARG_PROTOS})
    get_filename_component(absolute "${proto}" ABSOLUTE)
    file(RELATIVE_PATH relative "${PROJECT_SOURCE_DIR}" "${absolute}")
    string(REGEX REPLACE "\\.proto$" "" stem "${relative}")
    set(header "${PROJECT_BINARY_DIR}/${stem}.pb.h")
    set(source "${PROJECT_BINARY_DIR}/${stem}.pb.cc")
    add_custom_command(
      OUTPUT "${header}" "${source}"
      COMMAND protobuf::protoc "--cpp_out=${PROJECT_BINARY_DIR}" -I "${PROJECT_SOURCE_DIR}" "${relative}"
      WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
      DEPENDS "${absolute}" protobuf::protoc
      COMMENT "protoc ${relative}"
      VERBATIM)
    list(APPEND generated "${header}" "${source}")
  endforeach()
  add_library(kvjury_${ARG_NAME} STATIC ${generated})
  add_library(kvjury::${ARG_NAME} ALIAS kvjury_${ARG_NAME})
  target_link_libraries(kvjury_${ARG_NAME} PUBLIC kvjury::flags protobuf::libprotobuf ${ARG_DEPS})
endfunction()

function(kvjury_test)
  cmake_parse_arguments(ARG "" "NAME;TIMEOUT_S" "SRCS;DEPS;ARGS;LABELS" ${ARGN})
  if(NOT ARG_LABELS)
    set(ARG_LABELS quick)
  endif()
  if(NOT ARG_TIMEOUT_S)
    set(ARG_TIMEOUT_S 120)
  endif()
  add_executable(kvjury_${ARG_NAME} ${ARG_SRCS})
  target_link_libraries(kvjury_${ARG_NAME} PRIVATE kvjury::flags kvjury::warnings ${ARG_DEPS} rapidcheck GTest::gmock
                        GTest::gtest_main)
  target_compile_definitions(kvjury_${ARG_NAME} PRIVATE KVJURY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${ARG_NAME} COMMAND kvjury_${ARG_NAME} ${ARG_ARGS} WORKING_DIRECTORY "${PROJECT_BINARY_DIR}")
  set_tests_properties(${ARG_NAME} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT_S})
  if(KVJURY_SANITIZE STREQUAL "thread")
    # Reports go to files, from which ci/thread_reports.py takes those about our own code.
    set_tests_properties(${ARG_NAME} PROPERTIES ENVIRONMENT
                         "TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=0:exitcode=0:log_path=${PROJECT_BINARY_DIR}/tests/thread_report")
  endif()
endfunction()

function(kvjury_bench)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
  add_executable(kvjury_${ARG_NAME} EXCLUDE_FROM_ALL ${ARG_SRCS})
  target_link_libraries(kvjury_${ARG_NAME} PRIVATE kvjury::flags kvjury::warnings ${ARG_DEPS} benchmark::benchmark
                        benchmark::benchmark_main)
  target_compile_definitions(kvjury_${ARG_NAME} PRIVATE KVJURY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  set_property(GLOBAL APPEND PROPERTY KVJURY_BENCHES kvjury_${ARG_NAME})
endfunction()

# A fuzzer of one parser of outside bytes. With libFuzzer it explores; without, it replays every file of its corpus and
# a fixed number of mutations of each, as an ordinary test.
function(kvjury_fuzzer)
  cmake_parse_arguments(ARG "" "NAME;CORPUS" "SRCS;DEPS" ${ARGN})
  add_executable(kvjury_${ARG_NAME} ${ARG_SRCS})
  target_link_libraries(kvjury_${ARG_NAME} PRIVATE kvjury::flags kvjury::warnings ${ARG_DEPS})
  if(KVJURY_FUZZ)
    target_link_options(kvjury_${ARG_NAME} PRIVATE -fsanitize=fuzzer)
    add_test(NAME ${ARG_NAME} COMMAND kvjury_${ARG_NAME} -max_total_time=20 -seed=1 "${ARG_CORPUS}")
  else()
    target_sources(kvjury_${ARG_NAME} PRIVATE "${PROJECT_SOURCE_DIR}/ci/fuzz_replay_main.cc")
    add_test(NAME ${ARG_NAME} COMMAND kvjury_${ARG_NAME} "${ARG_CORPUS}")
  endif()
  set_tests_properties(${ARG_NAME} PROPERTIES LABELS quick TIMEOUT 120)
endfunction()

function(kvjury_program)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
  add_executable(${ARG_NAME} ${ARG_SRCS})
  target_link_libraries(${ARG_NAME} PRIVATE kvjury::flags kvjury::warnings ${ARG_DEPS})
  set_target_properties(${ARG_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
endfunction()

# A hand-written scenario: `kvjury run FILE` must end with 0, that is with the verdict that the file expects, and everything
# in it must have fired. One that must be convicted, which ends with 1, names the FINDING that it must print.
function(kvjury_scenario)
  cmake_parse_arguments(ARG "" "FILE;FINDING" "" ${ARGN})
  get_filename_component(name "${ARG_FILE}" NAME_WE)
  add_test(NAME scenario_${name} COMMAND kvjury run "${CMAKE_CURRENT_SOURCE_DIR}/${ARG_FILE}" --out "${PROJECT_BINARY_DIR}/scenarios/${name}")
  set_tests_properties(scenario_${name} PROPERTIES LABELS quick TIMEOUT 120)
  if(ARG_FINDING)
    set_tests_properties(scenario_${name} PROPERTIES PASS_REGULAR_EXPRESSION "${ARG_FINDING}")
  endif()
endfunction()
