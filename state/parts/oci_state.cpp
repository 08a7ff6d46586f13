#include "state/parts/oci_state.hpp"

#include "spec/core/text.hpp"

namespace nucleus {

namespace {

void Add(std::string& json, std::string_view name, std::string_view text) {
  if (!json.ends_with('{')) json += ',';
  AppendJsonString(json, name);
  json += ':';
  AppendJsonString(json, Printable(text));
}

}  // namespace

std::string Encode(const OciState& state) {
  std::string json = "{";
  Add(json, "ociVersion", "1.2.0");
  Add(json, "id", state.id);
  Add(json, "status", state.status);
  if (state.pid != 0) json += ",\"pid\":" + std::to_string(state.pid);
  Add(json, "bundle", state.bundle);
  json += ",\"annotations\":{";
  for (const auto& [name, text] : state.annotations) Add(json, name, text);
  return json + "}}";
}

}  // namespace nucleus
