#include "actuators/unit/unit_library.hpp"

#include <systemd/sd-bus.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "actuators/sys/load_library.hpp"

namespace nucleus::unit {

namespace {

constexpr const char* kLibrary = "libsystemd.so.0";
constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kPath = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";

struct Functions {
  decltype(&sd_bus_new) create = nullptr;
  decltype(&sd_bus_set_address) set_address = nullptr;
  decltype(&sd_bus_start) start = nullptr;
  decltype(&sd_bus_flush_close_unref) close = nullptr;
  decltype(&sd_bus_match_signal) match = nullptr;
  decltype(&sd_bus_call_method) call_method = nullptr;
  decltype(&sd_bus_message_new_method_call) new_call = nullptr;
  decltype(&sd_bus_message_append) append = nullptr;
  decltype(&sd_bus_message_append_strv) append_strings = nullptr;
  decltype(&sd_bus_message_open_container) open = nullptr;
  decltype(&sd_bus_message_close_container) close_container = nullptr;
  decltype(&sd_bus_message_read) read = nullptr;
  decltype(&sd_bus_message_unref) unref = nullptr;
  decltype(&sd_bus_call) call = nullptr;
  decltype(&sd_bus_process) process = nullptr;
  decltype(&sd_bus_wait) wait = nullptr;
  decltype(&sd_bus_error_free) free_error = nullptr;
};

// None: why says what is missing.
std::optional<Functions> Load(std::string& why) {
  void* library = sys::LoadLibrary(kLibrary, why);
  if (library == nullptr) return std::nullopt;
  Functions f;
  using sys::Resolve;
  const bool complete =
      Resolve(library, "sd_bus_new", f.create) && Resolve(library, "sd_bus_set_address", f.set_address) &&
      Resolve(library, "sd_bus_start", f.start) && Resolve(library, "sd_bus_flush_close_unref", f.close) &&
      Resolve(library, "sd_bus_match_signal", f.match) && Resolve(library, "sd_bus_call_method", f.call_method) &&
      Resolve(library, "sd_bus_message_new_method_call", f.new_call) &&
      Resolve(library, "sd_bus_message_append", f.append) &&
      Resolve(library, "sd_bus_message_append_strv", f.append_strings) &&
      Resolve(library, "sd_bus_message_open_container", f.open) &&
      Resolve(library, "sd_bus_message_close_container", f.close_container) &&
      Resolve(library, "sd_bus_message_read", f.read) && Resolve(library, "sd_bus_message_unref", f.unref) &&
      Resolve(library, "sd_bus_call", f.call) && Resolve(library, "sd_bus_process", f.process) &&
      Resolve(library, "sd_bus_wait", f.wait) && Resolve(library, "sd_bus_error_free", f.free_error);
  if (complete) return f;
  why = std::string(kLibrary) + " is too old: a function is missing";
  return std::nullopt;
}

struct Awaited {
  const Functions* bus = nullptr;
  std::string job, result;  // "done", "failed", "timeout", ...
};

int OnJobRemoved(sd_bus_message* message, void* data, sd_bus_error* /*error*/) {
  auto& awaited = *static_cast<Awaited*>(data);
  std::uint32_t number = 0;
  const char *job = nullptr, *unit = nullptr, *result = nullptr;
  if (awaited.bus->read(message, "uoss", &number, &job, &unit, &result) >= 0 && awaited.job == job)
    awaited.result = result;
  return 0;
}

// The manager puts variables in.
std::string Literal(const std::string& word) {
  std::string literal;
  for (const char c : word) literal += c == '$' ? std::string("$$") : std::string(1, c);
  return literal;
}

using BusError = std::unique_ptr<sd_bus_error, void (*)(sd_bus_error*)>;

class Caller {
 public:
  explicit Caller(const Functions& functions) : f_(functions) {}
  ~Caller() {
    if (bus_ != nullptr) f_.close(bus_);
  }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  // By the manager's own socket, which needs no daemon of the bus: as systemctl(1) does.
  int Connect(ManagerKind kind) {
    std::string address = "unix:path=/run/systemd/private";
    if (kind == ManagerKind::kUser) {
      const char* runtime = std::getenv("XDG_RUNTIME_DIR");
      if (runtime == nullptr || *runtime != '/') return -ENOENT;
      address = "unix:path=" + std::string(runtime) + "/systemd/private";
    }
    int done = f_.create(&bus_);
    if (done >= 0) done = f_.set_address(bus_, address.c_str());
    if (done >= 0) done = f_.start(bus_);
    awaited_.bus = &f_;
    if (done >= 0) done = f_.match(bus_, nullptr, nullptr, kPath, kManager, "JobRemoved", OnJobRemoved, &awaited_);
    if (done >= 0) done = f_.call_method(bus_, kService, kPath, kManager, "Subscribe", nullptr, nullptr, nullptr);
    return done;
  }

  int Start(const UnitOrder& order, sd_bus_error& error) {
    sd_bus_message *call = nullptr, *reply = nullptr;
    int done = Compose(order, &call);
    if (done >= 0) done = f_.call(bus_, call, 0, &error, &reply);
    const char* job = nullptr;
    if (done >= 0) done = f_.read(reply, "o", &job);
    if (done >= 0) awaited_.job = job;
    f_.unref(call);
    f_.unref(reply);
    return done;
  }

  // The result of the job that was started; "" where the manager is gone.
  std::string Result() {
    while (awaited_.result.empty()) {
      const int done = f_.process(bus_, nullptr);
      if (done < 0 || (done == 0 && f_.wait(bus_, UINT64_MAX) < 0)) break;
    }
    return awaited_.result;
  }

 private:
  int Compose(const UnitOrder& order, sd_bus_message** call) {
    int done = f_.new_call(bus_, call, kService, kPath, kManager, "StartTransientUnit");
    if (done >= 0) done = f_.append(*call, "ss", order.name.c_str(), "fail");
    if (done >= 0) done = f_.open(*call, 'a', "(sv)");
    if (done >= 0) done = AppendProperties(order, *call);
    if (done >= 0) done = f_.close_container(*call);
    return done < 0 ? done : f_.append(*call, "a(sa(sv))", 0);
  }

  int AppendProperties(const UnitOrder& order, sd_bus_message* call) {
    const auto text = [&](const char* name, const char* value) { return f_.append(call, "(sv)", name, "s", value); };
    const auto number = [&](const char* name, std::uint64_t value) {
      return f_.append(call, "(sv)", name, "t", value);
    };
    constexpr std::uint64_t kSecond = 1'000'000, kForever = UINT64_MAX;
    int done = text("Description", order.description.c_str());
    if (done >= 0) done = text("Type", "notify");
    if (done >= 0) done = text("NotifyAccess", "main");
    if (done >= 0) done = text("KillMode", "mixed");
    if (done >= 0) done = number("TimeoutStopUSec", 30 * kSecond);
    // Whoever has it started says how long that may take, and its end is the supervisor's.
    if (done >= 0) done = number("TimeoutStartUSec", kForever);
    if (done >= 0) done = text("CollectMode", "inactive-or-failed");
    if (done >= 0) done = f_.append(call, "(sv)", "Delegate", "b", 1);
    if (done >= 0) done = text("Slice", order.manager == ManagerKind::kUser ? "app.slice" : "system.slice");
    // Limits are the container's own, and so is what happens where they are come to.
    if (done >= 0) done = number("TasksMax", kForever);
    if (done >= 0) done = text("OOMPolicy", "continue");
    if (done >= 0) done = text("Restart", order.restart ? "on-abnormal" : "no");
    if (done >= 0) done = number("RestartUSec", kSecond);
    // However often, it has an end.
    if (done >= 0 && order.restart)
      done = f_.append(call, "(sv)", "RestartForceExitStatus", "(aiai)", 1, order.try_again, 0);
    if (done >= 0) done = number("StartLimitIntervalUSec", 600 * kSecond);
    if (done >= 0) done = f_.append(call, "(sv)", "StartLimitBurst", "u", 20U);
    if (done >= 0) done = text("SyslogIdentifier", order.identifier.c_str());
    // It was asked to end by SIGTERM.
    if (done >= 0) done = f_.append(call, "(sv)", "SuccessExitStatus", "(aiai)", 1, 143, 0);
    if (done >= 0) done = AppendCommand("ExecStart", order.execute, false, call);
    if (done >= 0 && !order.after.empty()) done = AppendCommand("ExecStopPost", order.after, true, call);
    return done;
  }

  int AppendCommand(const char* name, const std::vector<std::string>& words, bool may_fail, sd_bus_message* call) {
    std::vector<char*> argv;
    std::vector<std::string> literal;
    for (const auto& word : words) literal.push_back(Literal(word));
    for (auto& word : literal) argv.push_back(word.data());
    argv.push_back(nullptr);
    int done = f_.open(call, 'r', "sv");
    if (done >= 0) done = f_.append(call, "s", name);
    if (done >= 0) done = f_.open(call, 'v', "a(sasb)");
    if (done >= 0) done = f_.open(call, 'a', "(sasb)");
    if (done >= 0) done = f_.open(call, 'r', "sasb");
    if (done >= 0) done = f_.append(call, "s", argv.front());
    if (done >= 0) done = f_.append_strings(call, argv.data());
    if (done >= 0) done = f_.append(call, "b", may_fail ? 1 : 0);
    for (int i = 0; i < 4 && done >= 0; ++i) done = f_.close_container(call);
    return done;
  }

  const Functions& f_;
  sd_bus* bus_ = nullptr;
  Awaited awaited_;
};

std::string WordsOf(const sd_bus_error& error, int code) {
  return error.message != nullptr ? error.message : std::strerror(-code);
}

}  // namespace

UnitAnswer StartUnit(const UnitOrder& order) {
  constexpr int kTries = 200;
  constexpr unsigned kPauseUs = 50'000;
  std::string why;
  const auto functions = Load(why);
  if (!functions) return {UnitOutcome::kUnreachable, why};
  Caller caller(*functions);
  if (const int done = caller.Connect(order.manager); done < 0)
    return {UnitOutcome::kUnreachable, "the manager does not answer: " + std::string(std::strerror(-done))};
  for (int tries = 1;; ++tries) {
    sd_bus_error refused{};
    const BusError freed(&refused, functions->free_error);
    const int done = caller.Start(order, refused);
    if (done >= 0) break;
    const bool there =
        refused.name != nullptr && std::string_view(refused.name) == "org.freedesktop.systemd1.UnitExists";
    if (!there || tries == kTries) return {UnitOutcome::kRefused, WordsOf(refused, done)};
    ::usleep(kPauseUs);
  }
  const std::string result = caller.Result();
  if (result == "done") return {};
  return {UnitOutcome::kFailed, result.empty() ? "the manager is gone" : "its start ended as '" + result + "'"};
}

}  // namespace nucleus::unit
