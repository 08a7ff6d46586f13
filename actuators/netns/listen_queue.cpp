#include "actuators/netns/listen_queue.hpp"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "spec/core/units.hpp"

namespace nucleus::netns {

void WidenListenQueues(pid_t pid, const sys::Fd& process) {
  constexpr int kQueue = SOMAXCONN;  // the machine's net.core.somaxconn holds as well
  std::error_code code;
  const std::string directory = "/proc/" + std::to_string(pid) + "/fd";
  for (std::filesystem::directory_iterator it(directory, code), end; !code && it != end; it.increment(code)) {
    const auto number = ParseUnsigned(it->path().filename().string());
    if (!number) continue;
    const sys::Fd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), static_cast<int>(*number), 0)));
    int listens = 0, domain = 0;
    socklen_t size = sizeof listens;
    if (!fd || ::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) continue;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_INET)
      ::listen(fd.get(), kQueue);
  }
}

}  // namespace nucleus::netns
