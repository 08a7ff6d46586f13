// What slirp4netns answers, as read by userspace.cpp.
#include "actuators/netns/userspace.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  (void)nucleus::netns::ReadAnswer({reinterpret_cast<const char*>(data), size}, "port 80:80");
  return 0;
}
