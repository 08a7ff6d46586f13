// What goes over a network in a second, and how long an answer takes.
//
//   network_traffic serve PORT                      answers whoever connects, until it is killed
//   network_traffic send ADDRESS PORT MILLISECONDS  sends by one connection; prints megabytes per second that arrived,
//   and
//                                                   per second of processor that both ends took, the kernel's work
//                                                   included
//   network_traffic ask ADDRESS PORT COUNT          one byte there and back, so often; prints the median in
//   microseconds, and
//                                                   those of a processor that both ends took each time
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr char kSend = 's';  // the first byte of a connection: much is coming, and its number is to be told at the end
constexpr char kAsk = 'a';   // each byte is to be sent back
constexpr std::size_t kBlock = 256 << 10;

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

sockaddr_in Address(const char* address, const char* port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
  if (::inet_pton(AF_INET, address, &to.sin_addr) != 1) Die(address);
  return to;
}

void NoDelay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// What the thread took of a processor, in microseconds.
std::uint64_t Taken() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  const auto microseconds = [](const timeval& time) { return time.tv_sec * 1'000'000 + time.tv_usec; };
  return static_cast<std::uint64_t>(microseconds(usage.ru_utime) + microseconds(usage.ru_stime));
}

struct Arrived {
  std::uint64_t bytes = 0;
  std::uint64_t taken = 0;
};

void Answer(int fd) {
  NoDelay(fd);
  char what = 0;
  if (::read(fd, &what, 1) == 1) {
    std::vector<char> block(kBlock);
    Arrived arrived;
    ssize_t size = 0;
    while ((size = ::read(fd, block.data(), what == kAsk ? 1 : block.size())) > 0) {
      arrived.bytes += static_cast<std::uint64_t>(size);
      if (what == kAsk && ::write(fd, block.data(), 1) != 1) break;
    }
    arrived.taken = Taken();
    if (::write(fd, &arrived, sizeof arrived) < 0) std::perror("write");
  }
  ::close(fd);
}

int Serve(const char* port) {
  const int server = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto here = Address("0.0.0.0", port);
  if (::bind(server, reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0 || ::listen(server, 64) != 0)
    Die("listen");
  std::puts("up");
  std::fflush(stdout);
  while (true) {
    const int fd = ::accept(server, nullptr, nullptr);
    if (fd >= 0) std::thread(Answer, fd).detach();
  }
}

int Connect(const char* address, const char* port, char what) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const auto to = Address(address, port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) Die("connect");
  NoDelay(fd);
  if (::write(fd, &what, 1) != 1) Die("write");
  return fd;
}

// What the other end says of it, once it has been told that nothing more comes.
Arrived End(int fd) {
  ::shutdown(fd, SHUT_WR);
  Arrived arrived;
  if (::recv(fd, &arrived, sizeof arrived, MSG_WAITALL) != sizeof arrived) Die("read");
  return arrived;
}

int Send(int fd, int milliseconds) {
  const std::vector<char> block(kBlock);
  const auto begin = Clock::now();
  while (Clock::now() - begin < std::chrono::milliseconds(milliseconds)) {
    if (::write(fd, block.data(), block.size()) < 0) Die("write");
  }
  const Arrived arrived = End(fd);
  const double megabytes = static_cast<double>(arrived.bytes) / 1e6;
  std::printf("%.2f %.2f\n", megabytes / std::chrono::duration<double>(Clock::now() - begin).count(),
              megabytes * 1e6 / static_cast<double>(arrived.taken + Taken()));
  return 0;
}

int Ask(int fd, int count) {
  std::vector<double> taken;
  const auto before = Taken();
  for (int i = 0; i < count; ++i) {
    char byte = 'x';
    const auto begin = Clock::now();
    if (::write(fd, &byte, 1) != 1 || ::read(fd, &byte, 1) != 1) Die("ask");
    taken.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  const auto processor = static_cast<double>(Taken() - before + End(fd).taken) / count;
  std::ranges::sort(taken);
  std::printf("%.2f %.2f\n", taken[taken.size() / 2], processor);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "serve" && argc == 3) return Serve(argv[2]);
  if (what == "send" && argc == 5) return Send(Connect(argv[2], argv[3], kSend), std::atoi(argv[4]));
  if (what == "ask" && argc == 5) return Ask(Connect(argv[2], argv[3], kAsk), std::max(1, std::atoi(argv[4])));
  std::fputs("usage: network_traffic serve PORT | send ADDRESS PORT MILLISECONDS | ask ADDRESS PORT COUNT\n", stderr);
  return 2;
}
