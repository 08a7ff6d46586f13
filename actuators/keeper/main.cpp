// nucleus-network DIRECTORY FD: keeps what the network of a service needs a program for, as the file "network" of its
// directory says: network_help.hpp. Started by its supervisor, and ends with it, whatever ends that.
//
// With a third word, "machine", it is an ordinary user's: nobody's child, the holder of the lock of its directory, and
// what it says is in the file "status" there too: cli/users_machine.hpp.
//
// What FD leads to is told, a line each time: NetworkState::Text(), once what is asked for is so, or could not be had,
// and whenever that changes; and "! " with a warning. SIGHUP: the file is read again. SIGTERM: the end. What could not
// be had is tried again.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <mutex>
#include <optional>

#include "actuators/netns/egress_names.hpp"
#include "actuators/netns/free_ports.hpp"
#include "actuators/netns/namespace.hpp"
#include "actuators/netns/userspace.hpp"
#include "actuators/process/channel.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/pending_signals.hpp"
#include "actuators/sys/standard_files.hpp"
#include "spec/core/names.hpp"
#include "spec/core/text.hpp"
#include "spec/net.hpp"
#include "state/parts/network_help.hpp"

namespace nucleus::netns {
namespace {

constexpr int kUsage = 64;
constexpr int kFirstRest = 1'000, kLastRest = 30'000;  // ms, between tries

std::string WordsOf(const Error& error) {
  return Printable(error.Message() + (error.hint.empty() ? "" : "; " + error.hint));
}

class Keeper {
 public:
  // lock: of the directory, where it is an ordinary user's machine.
  Keeper(std::string directory, sys::Fd lock, sys::Fd told, sys::Fd signals, sys::Fd news)
      : directory_(std::move(directory)),
        lock_(std::move(lock)),
        told_(std::move(told)),
        signals_(std::move(signals)),
        news_(std::move(news)) {}

  void Run() {
    Take();
    while (true) {
      std::array<pollfd, 2> entries{pollfd{signals_.get(), POLLIN, 0}, pollfd{news_.get(), POLLIN, 0}};
      const int ready = ::poll(entries.data(), entries.size(), failed_ ? rest_ : -1);
      if (ready < 0 && errno != EINTR) return;
      if (entries[0].revents != 0 && !HandleSignals()) return;
      if (entries[1].revents != 0) PassOnNews();
      if (ready != 0) continue;
      rest_ = std::min(rest_ * 2, kLastRest);
      Try(std::chrono::milliseconds{0});
    }
  }

 private:
  // False: asked to end.
  bool HandleSignals() {
    signalfd_siginfo info{};
    bool again = false;
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) return false;
      again = true;
    }
    if (again) Take();
    return true;
  }

  void Take() {
    rest_ = kFirstRest;
    const auto text = sys::ReadFile(directory_ + "/" + std::string(kNetworkFile));
    auto order = text ? ReadNetworkOrder(*text) : Result<NetworkOrder>(Fail(text.error()));
    if (!order) return Warn(order.error());  // whoever writes it will write it again
    order_ = *std::move(order);
    help_ = DecodeNetworkHelp(*text);
    // For ports that somebody is about to give up.
    constexpr std::chrono::seconds kPatience{5};
    Try(kPatience);
  }

  void Try(std::chrono::milliseconds patience) {
    const auto done = help_ ? Converge(*help_, patience) : Result<>(Fail(help_.error()));
    // Somebody wants something else, or the end.
    if (!done && done.error().code == ErrorCode::kInterrupted) return;
    failed_ = !done;
    {
      const std::lock_guard lock(mutex_);
      why_ = done ? std::optional<Error>() : done.error();
      if (done) down_.reset();
    }
    PassOnNews(true);
  }

  Result<> Converge(const NetworkHelp& help, std::chrono::milliseconds patience) {
    if (!pin_ || help.pin != kept_.pin || help.v6 != kept_.v6) {
      way_out_.reset();
      names_.reset();
      kept_.v6 = help.v6;
      auto pin = TRY(OpenPin(help.pin));
      if (pin.state != PinState::kMounted)
        return Fail(ErrorCode::kNotFound, "enter", "network namespace", "it is not there");
      pin_ = std::move(pin.fd);
      kept_.pin = help.pin;
    }
    auto way = KeepWayOut(help, patience);
    // Names need a way out, but not all of its ports.
    if (!way && (!way_out_ || way.error().code == ErrorCode::kInterrupted)) return way;
    auto names = KeepNames(help);
    return way ? names : way;
  }

  Result<> KeepWayOut(const NetworkHelp& help, std::chrono::milliseconds patience) {
    if (!spec::IsUserspace(help.backend) || help.backend != kept_.backend) way_out_.reset();
    kept_.backend = help.backend;
    if (!spec::IsUserspace(help.backend)) return {};
    if (way_out_) return way_out_->Publish(help.ports, patience);
    const std::string place = directory_ + "/" + std::string(kNetworkDirectory);
    TRY(sys::MakeDirectories(place, 0700));
    const auto start = [&] {
      return UserspaceNetwork::Start(pin_, help.backend, help.ports, help.v6, place, [this](const Error* error) {
        const std::lock_guard lock(mutex_);
        down_ = error != nullptr ? std::optional(*error) : std::nullopt;
        ::eventfd_write(news_.get(), 1);
      });
    };
    TRY(AwaitFree(help.ports, patience));
    // One whose supervisor was killed may be on its way out, and have the link and the ports yet.
    constexpr int kTries = 5, kRest = 200'000;  // µs
    auto started = start();
    for (int i = 1; i < kTries && !started && started.error().code != ErrorCode::kNotFound; ++i) {
      if (sys::PendingEnd(true) != 0)
        return Fail(ErrorCode::kInterrupted, "start", "way out", "somebody asked to stop");
      ::usleep(kRest);
      started = start();
    }
    way_out_ = TRY(std::move(started));
    return {};
  }

  Result<> KeepNames(const NetworkHelp& help) {
    const bool same = names_ && help.domains == kept_.domains && help.resolvers == kept_.resolvers;
    if (same) return {};
    names_.reset();
    if (help.domains.empty()) return {};
    EgressWanted wanted;
    wanted.resolvers = kept_.resolvers = help.resolvers;
    wanted.domains = kept_.domains = help.domains;
    wanted.v6 = help.v6;
    wanted.domains_must_resolve = help.must_resolve;
    names_ = TRY(EgressNames::Start(pin_, wanted, [this](const Error& error) {
      const std::lock_guard lock(mutex_);
      warnings_.push_back(error);
      ::eventfd_write(news_.get(), 1);
    }));
    return {};
  }

  // What the threads have said since, and how it is now: where that has changed, or somebody waits for it.
  void PassOnNews(bool asked = false) {
    eventfd_t count = 0;
    ::eventfd_read(news_.get(), &count);
    std::vector<Error> warnings;
    NetworkState state{order_.digest.Hex(), std::to_string(order_.serial), ""};
    {
      const std::lock_guard lock(mutex_);
      warnings.swap(warnings_);
      if (why_) {
        state.why = WordsOf(*why_);
      } else if (down_) {
        state.why = WordsOf(*down_);
      }
    }
    for (const auto& warning : warnings) Warn(warning);
    if (!state.why.empty()) state.published = Published();
    const std::string text = state.Text();
    if (!asked && text == last_) return;
    last_ = text;
    Say(text);
  }

  std::vector<std::string> Published() {
    std::vector<std::string> published;
    if (way_out_) {
      for (const auto& port : way_out_->Published()) published.push_back(spec::Format(port));
    }
    return published;
  }

  void Warn(const Error& error) { Say("! egress_domains: " + WordsOf(error)); }
  void Say(const std::string& line) {
    (void)sys::WriteAll(told_.get(), line + "\n", "supervisor");
    if (lock_ && !line.starts_with("! "))
      (void)sys::ReplaceFile(directory_ + "/" + std::string(kStatusFile), line, 0600);
  }

  std::string directory_;
  sys::Fd lock_, told_, signals_, news_;
  NetworkOrder order_;
  Result<NetworkHelp> help_;
  NetworkHelp kept_;  // as far as it is
  sys::Fd pin_;
  std::mutex mutex_;  // over the next three, which threads of the following write to
  std::optional<Error> why_, down_;
  std::vector<Error> warnings_;
  std::unique_ptr<UserspaceNetwork> way_out_;
  std::unique_ptr<EgressNames> names_;
  bool failed_ = false;
  int rest_ = kFirstRest;
  std::string last_;
};

int Main(const char* directory, int fd, bool machine) {
  sys::Fd lock;
  if (machine) {
    // Its user may enter its namespaces.
    auto taken = process::TakeSupervisorLock(directory);
    if (!taken) return 1;
    lock = *std::move(taken);
  } else {
    // With the supervisor; and where that has died before, nobody is there to be told.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  }
  ::umask(0077);
  ::signal(SIGPIPE, SIG_IGN);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  sys::Fd told(fd);
  pollfd gone{fd, 0, 0};
  if (!machine && ::poll(&gone, 1, 0) != 0) return 1;
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGHUP, SIGTERM, SIGINT}) ::sigaddset(&signals, signal);
  ::sigprocmask(SIG_SETMASK, &signals, nullptr);
  sys::Fd read(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  sys::Fd news(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!read || !news) return 1;
  Keeper(directory, std::move(lock), std::move(told), std::move(read), std::move(news)).Run();
  return 0;
}

}  // namespace
}  // namespace nucleus::netns

int main(int argc, char** argv) {
  nucleus::sys::FillStandardFiles();
  int fd = -1;
  const bool machine = argc == 4 && std::string_view(argv[3]) == "machine";
  if (argc == 3 || machine) std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), fd);
  if (fd < 3) {
    constexpr char kText[] = "usage: nucleus-network DIRECTORY FD [machine]\n";
    [[maybe_unused]] const auto wrote = ::write(2, kText, sizeof kText - 1);
    return nucleus::netns::kUsage;
  }
  return nucleus::netns::Main(argv[1], fd, machine);
}
