// Events as people and programs see them; what a supervisor writes is documented in actuators/process/log.hpp. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nucleus::cli {

struct Event {
  std::int64_t time_ms = 0;  // Unix time
  std::string container;     // "shop/web"
  std::string what;          // "start"
  std::vector<std::pair<std::string, std::string>> details;
  bool operator==(const Event&) const = default;
};

// False: the line is no event.
bool ParseEvent(std::string_view line, std::string container, Event& event);

std::string EventText(const Event& event);
std::string EventJson(const Event& event);  // with the end of the line

}  // namespace nucleus::cli
