// What the path of a service's directory says, runtime/projects/PROJECT/service.NAME: Directories::ServiceDir() the
// other way round, for programs that are told of nothing else.
#pragma once

#include <string>
#include <string_view>

namespace nucleus::process {

inline std::string Above(std::string_view directory, int levels) {
  for (int i = 0; i < levels; ++i) directory = directory.substr(0, directory.rfind('/'));
  return std::string(directory);
}

inline std::string RuntimeOf(std::string_view directory) {
  return Above(directory, 3);
}

inline std::string ProjectOf(std::string_view directory) {
  const std::string project = Above(directory, 1);
  return project.substr(project.rfind('/') + 1);
}

}  // namespace nucleus::process
