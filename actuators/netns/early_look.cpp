#include "actuators/netns/early_look.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include "spec/core/threads.hpp"

namespace nucleus::netns {

namespace {

// They are compared with what is looked at when the file has been read, which may take any time.
constexpr std::chrono::milliseconds kLinksLast{100};

// Of both families where a network that it is in has IPv6.
Scope ScopeOf(const HostView& host, const std::string& alias) {
  const auto has_v6 = [&](const Link* end) { return HasIpv6Address(host.snapshot(), end->master); };
  return {.v6 = std::ranges::any_of(host.WithAlias(alias), has_v6)};
}

}  // namespace

EarlyLook::EarlyLook(Directories directories)
    : directories_(std::move(directories)), own_(OwnNamespace()), begun_(std::chrono::steady_clock::now()) {
  try {
    first_ = std::jthread([this] { Begin(); });
  } catch (const std::system_error&) {
    known_.set_value();
  }
}

EarlyLook::~EarlyLook() {
  given_up_ = true;
  if (project_.empty()) named_.set_value();
}

void EarlyLook::Of(const std::string& project) {
  project_ = project;
  named_.set_value();
}

void EarlyLook::Begin() {
  if (auto host = HostView::Take()) found_.host = *std::move(host);
  named_.get_future().wait();
  if (found_.host && own_ && !given_up_) {
    for (const auto& address : PinnedServices(directories_, project_)) {
      found_.places.push_back(
          {directories_.NetnsPin(project_, address), ScopeOf(*found_.host, LinkAlias(project_, address))});
    }
    found_.seen.resize(found_.places.size());
  }
  known_.set_value();
  // Whoever makes the question has a processor too.
  OnThreads(found_.places.size(), [this] { Work(); }, std::max<std::size_t>(2, Processors()) - 1);
}

void EarlyLook::Work() {
  auto buffer = Netlink::MakeBuffer();
  for (std::size_t i = next_++; i < found_.places.size() && !given_up_; i = next_++)
    found_.seen[i] = LookAt(found_.places[i], *own_, buffer);
}

EarlyLook::Found EarlyLook::Take() {
  const bool is_old = std::chrono::steady_clock::now() - begun_ > kLinksLast;
  known_.get_future().wait();
  const std::size_t done = std::min(next_.load(), found_.places.size());
  OnThreads(found_.places.size() - done, [this] { Work(); }, 1);
  if (first_.joinable()) first_.join();
  if (is_old) found_.host.reset();
  return std::move(found_);
}

std::optional<Seen> AsAsked(Seen seen, const Scope& looked, const Scope& scope) {
  const bool mounted = seen.pin && seen.pin->state == PinState::kMounted;
  if (mounted && seen.inside) {
    if (looked.v6 != scope.v6) return std::nullopt;
    const bool none = seen.inside->egress && !seen.inside->egress->present;
    if (scope.egress && !none) return std::nullopt;
  }
  return seen;
}

}  // namespace nucleus::netns
