#include "actuators/netns/firewalld.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "actuators/netns/nft.hpp"
#include "spec/core/nesting.hpp"

namespace nucleus::netns {

namespace {

using nlohmann::json;

constexpr std::string_view kFirewalld = "firewalld";  // family inet
constexpr std::string_view kFirst = "filter_FORWARD";

enum class Verdict : std::uint8_t { kGoOn, kReturn, kAccept, kRefuse };

std::string TextAt(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// "nb*" is whatever begins so: a zone's interface nb+.
bool Covers(const json& pattern, std::string_view link) {
  if (pattern.is_object() && pattern.contains("set") && pattern["set"].is_array())
    return std::ranges::any_of(pattern["set"], [&](const json& one) { return Covers(one, link); });
  if (!pattern.is_string()) return false;
  const auto& text = pattern.get_ref<const std::string&>();
  return text.ends_with('*') ? link.starts_with(text.substr(0, text.size() - 1)) : link == text;
}

class Rules {
 public:
  Rules(const json& list, std::string_view link) : link_(link) {
    for (const auto& item : list) {
      if (!item.is_object() || !item.contains("rule")) continue;
      const auto& rule = item["rule"];
      if (rule.is_object() && rule.contains("expr") && rule["expr"].is_array())
        chains_[TextAt(rule, "chain")].push_back(&rule["expr"]);
    }
  }

  Verdict Of(const std::string& chain, int depth = 0) const {
    constexpr int kDeepest = 16;  // the kernel's: NFT_JUMP_STACK_SIZE
    const auto rules = chains_.find(chain);
    if (rules == chains_.end() || depth > kDeepest) return Verdict::kGoOn;
    for (const json* rule : rules->second) {
      const auto verdict = OfRule(*rule, depth);
      if (verdict == Verdict::kReturn) return Verdict::kGoOn;
      if (verdict != Verdict::kGoOn) return verdict;
    }
    return Verdict::kGoOn;
  }

 private:
  [[nodiscard]] bool Matches(const json& match) const {
    if (!match.is_object() || !match.contains("left") || !match.contains("right")) return false;
    const auto& left = match["left"];
    const bool comes_from = left.is_object() && left.contains("meta") && TextAt(left["meta"], "key") == "iifname";
    if (!comes_from) return false;
    return Covers(match["right"], link_) == (TextAt(match, "op") != "!=");
  }

  [[nodiscard]] Verdict OfRule(const json& expressions, int depth) const {
    for (const auto& expression : expressions) {
      if (!expression.is_object() || expression.empty()) return Verdict::kGoOn;
      const auto& word = expression.begin().key();
      const auto& what = expression.begin().value();
      if (word == "match") {
        if (!Matches(what)) return Verdict::kGoOn;
      } else if (word == "accept") {
        return Verdict::kAccept;
      } else if (word == "drop" || word == "reject") {
        return Verdict::kRefuse;
      } else if (word == "return") {
        return Verdict::kReturn;
      } else if (word == "jump" || word == "goto") {
        const auto verdict = Of(TextAt(what, "target"), depth + 1);
        return verdict == Verdict::kGoOn && word == "goto" ? Verdict::kReturn : verdict;
      } else if (word != "counter" && word != "log") {
        return Verdict::kGoOn;
      }
    }
    return Verdict::kGoOn;
  }

  std::string_view link_;
  std::map<std::string, std::vector<const json*>> chains_;
};

}  // namespace

bool LetsForward(std::string_view listing, std::string_view link) {
  if (IsNestedTooDeeply(listing)) return false;
  const auto document = json::parse(listing, nullptr, false);
  if (!document.is_object() || !document.contains("nftables") || !document["nftables"].is_array()) return false;
  return Rules(document["nftables"], link).Of(std::string(kFirst)) != Verdict::kRefuse;
}

Result<std::vector<std::string>> ClosedByFirewalld(const std::vector<std::string>& links) {
  const auto tables = TRY(DumpTables());
  if (std::ranges::find(tables, kFirewalld, &TableInfo::name) == tables.end()) return std::vector<std::string>();
  const auto listing = TRY(ListTableJson(kFirewalld));
  if (!listing) return std::vector<std::string>();
  auto closed = links;
  std::erase_if(closed, [&](const std::string& link) { return LetsForward(*listing, link); });
  return closed;
}

}  // namespace nucleus::netns
