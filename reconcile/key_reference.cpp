#include "reconcile/key_reference.hpp"

#include <algorithm>
#include <array>

#include "reconcile/fields.hpp"
#include "spec/keys.hpp"

namespace nucleus::reconcile {

namespace {

using spec::Scope;

struct Section {
  Scope scope;
  std::string_view title;
};
constexpr std::array<Section, 4> kSections{
    {{Scope::kTopology, "Of the topology"},
     {Scope::kNetwork, "Of a network, `[networks.NAME]`"},
     {Scope::kVolume, "Of a volume, `[volumes.NAME]`"},
     {Scope::kService, "Of a service, `[services.NAME]`, and of `[container]`"}}};

std::string_view EffectName(Effect effect) {
  switch (effect) {
    case Effect::kLive:
      return "live";
    case Effect::kSignal:
      return "signal";
    case Effect::kRestart:
      return "restart";
    case Effect::kReplace:
      return "replace";
  }
  return "";
}

std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string NamesOf(const spec::KeyInfo& key) {
  std::string names = "`" + std::string(key.name) + "`";
  for (const auto& alias : spec::KeyAliases()) {
    if (alias.scope == key.scope && alias.key == key.name) names += ", `" + std::string(alias.alias) + "`";
  }
  return names;
}

// The keys of one scope that have an effect, or those that have none yet.
std::string Table(Scope scope, bool supported) {
  const bool with_effect = supported && scope != Scope::kTopology;
  std::string rows;
  for (const auto& key : spec::Keys()) {
    if (key.scope != scope || key.supported != supported) continue;
    rows += "| " + NamesOf(key) + " | " + Cell(key.type) + " | " + Cell(key.summary) + " |";
    if (with_effect) rows += " " + std::string(EffectName(RuleOf(scope, key.name).effect)) + " |";
    rows += "\n";
  }
  if (rows.empty()) return "";
  const std::string_view head =
      with_effect ? "| key | value | | a change is |\n|---|---|---|---|\n" : "| key | value | |\n|---|---|---|\n";
  return std::string(head) + rows;
}

}  // namespace

std::string KeyReference() {
  std::string out = "## All keys\n";
  for (const auto& section : kSections) {
    out += "\n### " + std::string(section.title) + "\n\n" + Table(section.scope, true);
  }
  out +=
      "\n### Known, without effect yet\n\n"
      "These are read and checked, and then refused with \"not supported yet\", unless they say what is done anyway, "
      "as "
      "`detach = true` does: no key is ever ignored.\n";
  for (const auto& section : kSections) {
    const auto table = Table(section.scope, false);
    if (!table.empty()) out += "\n" + std::string(section.title) + ":\n\n" + table;
  }
  return out;
}

}  // namespace nucleus::reconcile
