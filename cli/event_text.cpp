#include "cli/event_text.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

#include "actuators/process/log.hpp"
#include "cli/table.hpp"
#include "spec/core/text.hpp"

namespace nucleus::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kEventFormat = 1;

Json ValueJson(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? Json(number) : Json(text);
}

}  // namespace

bool ParseEvent(std::string_view line, std::string container, Event& event) {
  process::LogEntry entry;
  if (!process::ParseEntry(line, entry)) return false;
  event = {.time_ms = entry.time_ms, .container = std::move(container), .what = {}, .details = {}};
  std::string_view rest = entry.text;
  const auto take = [&rest] {
    const auto word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(word.size() + 1, rest.size()));
    return word;
  };
  event.what = take();
  while (!rest.empty()) {
    const auto equals = rest.find('=');
    if (equals == std::string_view::npos) return false;
    std::string name(rest.substr(0, equals));
    rest.remove_prefix(equals + 1);
    const bool last = name == "message";
    std::string value(last ? std::exchange(rest, {}) : take());
    event.details.emplace_back(std::move(name), std::move(value));
  }
  return !event.what.empty();
}

std::string EventText(const Event& event) {
  std::string text = LocalTime(event.time_ms) + "  " + event.container + "  " + event.what;
  for (const auto& [name, value] : event.details) text += " " + name + "=" + value;
  return Printable(text) + "\n";
}

std::string EventJson(const Event& event) {
  Json json{{"format_version", kEventFormat},
            {"type", "event"},
            {"time", UtcTime(event.time_ms)},
            {"container", event.container},
            {"event", event.what}};
  for (const auto& [name, value] : event.details) json[name] = name == "message" ? Json(value) : ValueJson(value);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace nucleus::cli
