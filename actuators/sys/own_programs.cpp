#include "actuators/sys/own_programs.hpp"

#include <unistd.h>

#include <climits>

namespace nucleus::sys {

Result<std::string> ProgramOfOurs(std::string_view name) {
  std::string self(PATH_MAX, '\0');
  const ssize_t size = ::readlink("/proc/self/exe", self.data(), self.size());
  if (size < 0) return FailSys("readlink", "/proc/self/exe");
  self.resize(static_cast<std::size_t>(size));
  const std::string directory = self.substr(0, self.rfind('/'));
  for (const char* place : {"/", "/../libexec/nucleus/"}) {
    std::string path = directory + place + std::string(name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return Fail(ErrorCode::kNotFound, "find", name, "it is not beside nucleus");
}

}  // namespace nucleus::sys
