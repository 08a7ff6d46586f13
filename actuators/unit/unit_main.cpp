// nucleus-unit PARENT KEY=VALUE...: libsystemd for nucleus, which is linked statically and can load no library. Keys:
// manager, name, description, identifier, restart, try-again, and, once for each word, execute and after. Why it did
// not go well is standard output, and how it ended is the exit code: unit_order.hpp.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <string_view>

#include "actuators/sys/file.hpp"
#include "actuators/unit/unit_library.hpp"

namespace {

constexpr int kUsage = 64;

bool Take(nucleus::unit::UnitOrder& order, std::string_view word) {
  const auto equals = word.find('=');
  if (equals == std::string_view::npos) return false;
  const auto key = word.substr(0, equals);
  std::string value(word.substr(equals + 1));
  if (key == "manager") {
    order.manager = value == "user" ? nucleus::unit::ManagerKind::kUser : nucleus::unit::ManagerKind::kSystem;
  } else if (key == "name") {
    order.name = std::move(value);
  } else if (key == "description") {
    order.description = std::move(value);
  } else if (key == "identifier") {
    order.identifier = std::move(value);
  } else if (key == "restart") {
    order.restart = value == "yes";
  } else if (key == "try-again") {
    std::from_chars(value.data(), value.data() + value.size(), order.try_again);
  } else if (key == "execute") {
    order.execute.push_back(std::move(value));
  } else if (key == "after") {
    order.after.push_back(std::move(value));
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  // Who was killed wants no unit any more; one that waits finds that out by itself.
  if (argc < 3 || ::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return kUsage;
  if (std::to_string(::getppid()) != argv[1]) return kUsage;
  nucleus::unit::UnitOrder order;
  for (int i = 2; i < argc; ++i) {
    if (!Take(order, argv[i])) return kUsage;
  }
  if (order.execute.empty()) return kUsage;
  const auto answer = nucleus::unit::StartUnit(order);
  [[maybe_unused]] const auto told = nucleus::sys::WriteAll(STDOUT_FILENO, answer.text, "answer");
  return nucleus::unit::kUnitExit + static_cast<int>(answer.outcome);
}
