// Whatever a workload writes to its notify socket: what is passed on to a manager is whole lines of what was said, and
// says neither that it is ready nor which process is which.
#include <cstdlib>

#include "actuators/supervisor/notify.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto said = nucleus::process::ReadNotification(text);
  if (said.passed_on.size() > size + 1 || (said.words && said.words->find('\n') != std::string::npos)) std::abort();
  for (std::string_view rest = said.passed_on; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    if (line.size() == rest.size() || text.find(line) == std::string_view::npos) std::abort();
    for (const std::string_view never : {"READY=1", "MAINPID=", "NOTIFYACCESS=", "FDSTORE", "FDNAME=", "FDPOLL="})
      if (line.starts_with(never)) std::abort();
    rest.remove_prefix(line.size() + 1);
  }
  return 0;
}
