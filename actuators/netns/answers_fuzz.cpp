// Whatever the bytes of an answer are: no read beyond them.
#include <netlink/msg.h>

#include <cstring>
#include <memory>

#include "actuators/netns/answers.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // As large as the answer and aligned as messages are, so that a byte too many is noticed.
  const auto buffer = std::make_unique_for_overwrite<std::uint32_t[]>(size / 4);
  std::memcpy(buffer.get(), data, size / 4 * 4);
  int left = static_cast<int>(size / 4 * 4);
  for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.get()); nlmsg_ok(header, left);
       header = nlmsg_next(header, &left)) {
    (void)nucleus::netns::EndingOf(header);
    (void)nucleus::netns::LinkOf(header);
    (void)nucleus::netns::AddressOf(header);
    (void)nucleus::netns::RouteOf(header);
    (void)nucleus::netns::RuleOf(header);
  }
  return 0;
}
