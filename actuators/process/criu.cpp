#include "actuators/process/criu.hpp"

#include "actuators/process/log.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/trusted.hpp"

namespace nucleus::process {

Result<std::string> FindCriu() {
  for (const char* path :
       {"/usr/sbin/criu", "/usr/bin/criu", "/usr/local/sbin/criu", "/run/current-system/sw/bin/criu"})
    if (sys::CheckTrusted(path)) return path;
  return Fail(Error::Of(ErrorCode::kNotFound, "find", "criu", "it is not where root installs programs")
                  .Hint("apt install criu"));
}

// "(00.923585) Error (compel/src/lib/infect.c:713): Unable to connect a transport socket: ..."
std::string CriuError(const std::string& log) {
  const auto text = sys::ReadFile(log, 64 << 20);
  if (!text) return "";
  // The first says why; what comes after it follows from it.
  const auto at = text->find(") Error (");
  if (at == std::string::npos) return "";
  const auto begin = text->find("): ", at + 1);
  if (begin == std::string::npos) return "";
  return Escaped(std::string_view(*text).substr(begin + 3, text->find('\n', begin) - begin - 3));
}

}  // namespace nucleus::process
