#include "reconcile/diff.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "state/parts/facts.hpp"

namespace nucleus::reconcile {

namespace {

constexpr std::size_t kLongestValue = 48;

// Walks two sorted sequences by name; `call` gets the value on either side, or null.
template <class Range, class Name, class Value, class Call>
void MergeByName(const Range& a, const Range& b, Name name, Value value, Call call) {
  auto left = a.begin();
  auto right = b.begin();
  while (left != a.end() || right != b.end()) {
    const bool take_left = right == b.end() || (left != a.end() && name(*left) <= name(*right));
    const bool take_right = left == a.end() || (right != b.end() && name(*right) <= name(*left));
    call(take_left ? name(*left) : name(*right), take_left ? &value(*left) : nullptr,
         take_right ? &value(*right) : nullptr);
    if (take_left) ++left;
    if (take_right) ++right;
  }
}

bool IsNumber(std::string_view text) {
  return !text.empty() && text.size() < 20 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Compact JSON of a scalar or a flat list, as a person would write it.
std::string Plain(const std::string& json, std::string_view type) {
  if (IsNumber(json)) {
    const auto number = std::stoull(json);
    if (type.starts_with("size")) return FormatBytes(number);
    if (type.starts_with("duration")) return FormatDuration(Duration(number));
    return json;
  }
  std::string text;
  for (const char c : json) {
    if (c == '"' || c == '[' || c == ']') continue;
    text += c;
    if (c == ',') text += ' ';
  }
  return text;
}

// What a secret holds was not recorded: its digest could not be made then, or nobody made any.
bool IsFirstKnown(const std::string& field, const std::string* applied) {
  return applied == nullptr && IsSecretContents(field);
}

// A secret that was not given before, among others that were: of its key it is told only that it has changed.
bool IsFirstGiven(const std::string& field, const spec::Fields& applied) {
  if (!IsSecretContents(field)) return false;
  const auto colon = field.find(':');
  const auto given = std::ranges::find(applied, field.substr(0, colon), &spec::Field::name);
  if (given == applied.end()) return false;                               // its key comes with it
  const std::string end = field.substr(colon, field.rfind('#') - colon);  // of "SOURCE:/DESTINATION"
  return std::ranges::none_of(nlohmann::json::parse(given->value, nullptr, false), [&](const auto& one) {
    return one.is_string() && one.template get_ref<const std::string&>().ends_with(end);
  });
}

std::string FieldText(const FieldRule& rule, spec::Scope scope, const std::string& field, const std::string* applied,
                      const std::string* desired, bool first_given) {
  if (const auto hash = field.find('#'); hash != std::string::npos) {
    const auto colon = field.find(':');
    const auto from = colon == std::string::npos ? 0 : colon + 1;
    const std::string_view word = first_given                    ? " set"
                                  : IsFirstKnown(field, applied) ? " is known from now on"
                                  : desired == nullptr           ? " removed"
                                                                 : " changed";
    const std::string what =
        (field.starts_with("secrets:") ? "secret " : "credential ") + field.substr(from, hash - from);
    if (IsSecretContents(field)) return what + std::string(word);
    return "contents of " + field.substr(from, hash - from) + " changed";
  }
  const std::string key(rule.key);
  if (rule.show == Show::kName) {
    return key + (applied == nullptr ? " set" : desired == nullptr ? " removed" : " changed");
  }
  const auto* info = spec::FindKey(scope, rule.key);
  const std::string_view type = info == nullptr ? std::string_view() : info->type;
  const auto before = applied ? Plain(*applied, type) : "";
  const auto after = desired ? Plain(*desired, type) : "";
  if (before.size() > kLongestValue || after.size() > kLongestValue) return key + " changed";
  if (applied == nullptr) return key + " set to " + after;
  if (desired == nullptr) return key + " " + before + " removed";
  return key + " " + before + " → " + after;
}

std::vector<std::string_view> WordsOf(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    words.push_back(text.substr(0, text.find(' ')));
    text.remove_prefix(std::min(words.back().size() + 1, text.size()));
  }
  return words;
}

std::string Joined(std::span<const std::string_view> words) {
  std::string text;
  for (const auto word : words) text.append(text.empty() ? "" : " ").append(word);
  return text;
}

bool IsLabel(std::string_view word) {
  return std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

// Of two values of several words what tells them apart, with the label that stands before it: of "up mtu 1400 ok" and
// "up mtu 1500 ok" it is "mtu", "1400" and "1500".
struct Apart {
  std::string before, seen, expected;
};
Apart TakeApart(std::string_view seen, std::string_view expected) {
  const auto a = WordsOf(seen);
  const auto b = WordsOf(expected);
  const std::size_t shorter = std::min(a.size(), b.size());
  std::size_t head = 0, tail = 0;
  while (head < shorter && a[head] == b[head]) ++head;
  while (tail < shorter - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
  Apart apart;
  if (head > 0 && IsLabel(a[head - 1])) apart.before = a[head - 1];
  apart.seen = Joined(std::span(a).subspan(head, a.size() - head - tail));
  apart.expected = Joined(std::span(b).subspan(head, b.size() - head - tail));
  return apart;
}

std::string Shortened(const std::string& text) {
  return text.size() > kLongestValue ? "a part" : text;
}

bool HasField(const spec::Fields& fields, std::string_view name) {
  return std::ranges::find(fields, name, &spec::Field::name) != fields.end();
}

// The contents of a file that is named for the first time, or no more: the key tells it, and does as much.
bool ComesWithItsKey(spec::Scope scope, const FieldRule& rule, std::string_view name, const spec::Fields& with,
                     const spec::Fields& without) {
  const auto key = name.substr(0, name.find('#'));
  if (key.size() == name.size() || !HasField(with, key) || HasField(without, key)) return false;
  const auto its = RuleOf(scope, key);
  return its.effect == rule.effect && its.home == rule.home;
}

// What a secret holds that is among the first that are given, or was among the last: the key tells it.
bool IsOfAllSecrets(std::string_view name, const spec::Fields& with, const spec::Fields& without) {
  const auto key = name.substr(0, name.find(':'));
  return IsSecretContents(name) && HasField(with, key) && !HasField(without, key);
}

bool IsMissing(const FactChange& change) {
  return !change.seen || (!change.expected && change.seen == kGoneFact);
}

}  // namespace

std::vector<FieldChange> DiffFields(spec::Scope scope, const spec::Fields& applied, const spec::Fields& desired) {
  std::vector<FieldChange> changes;
  MergeByName(
      applied, desired, [](const spec::Field& f) -> const std::string& { return f.name; },
      [](const spec::Field& f) -> const std::string& { return f.value; },
      [&](const std::string& name, const std::string* before, const std::string* after) {
        if (before != nullptr && after != nullptr && *before == *after) return;
        const auto rule = RuleOf(scope, name);
        if (before == nullptr && ComesWithItsKey(scope, rule, name, desired, applied)) return;
        if (after == nullptr && ComesWithItsKey(scope, rule, name, applied, desired)) return;
        if (before == nullptr && IsOfAllSecrets(name, desired, applied)) return;
        if (after == nullptr && IsOfAllSecrets(name, applied, desired)) return;
        const bool first_given = before == nullptr && IsFirstGiven(name, applied);
        changes.push_back({rule, name, FieldText(rule, scope, name, before, after, first_given),
                           !first_given && IsFirstKnown(name, before)});
        changes.back().rule.key = {};  // it points into the inputs
      });
  return changes;
}

std::vector<FieldChange> DiffFields(const spec::Network& applied, const spec::Network& desired) {
  return DiffFields(spec::Scope::kNetwork, spec::CanonicalFields(applied), spec::CanonicalFields(desired));
}
std::vector<FieldChange> DiffFields(const spec::Volume& applied, const spec::Volume& desired) {
  return DiffFields(spec::Scope::kVolume, spec::CanonicalFields(applied), spec::CanonicalFields(desired));
}
std::vector<FieldChange> DiffFields(const spec::Service& applied, const spec::Service& desired) {
  return DiffFields(spec::Scope::kService, spec::CanonicalFields(applied), spec::CanonicalFields(desired));
}

std::vector<FactChange> DiffFacts(const Facts& seen, const Facts& expected) {
  std::vector<FactChange> changes;
  if (seen == expected) return changes;
  MergeByName(
      seen, expected, [](const auto& fact) -> const std::string& { return fact.first; },
      [](const auto& fact) -> const std::string& { return fact.second; },
      [&](const std::string& name, const std::string* before, const std::string* after) {
        if (before != nullptr && after != nullptr && *before == *after) return;
        FactChange change{name, std::nullopt, std::nullopt};
        if (before != nullptr) change.seen = *before;
        if (after != nullptr) change.expected = *after;
        changes.push_back(std::move(change));
      });
  return changes;
}

std::string Describe(const FactChange& change) {
  if (IsMissing(change)) return change.name + " missing → restore";
  if (!change.expected) return change.name + " unexpected → remove";
  constexpr std::size_t kFewWords = 3;
  if (std::min(WordsOf(*change.seen).size(), WordsOf(*change.expected).size()) <= kFewWords) {
    if (change.seen->size() > kLongestValue || change.expected->size() > kLongestValue) return change.name + " differs";
    return change.name + " " + *change.seen + " → " + *change.expected;
  }
  const Apart apart = TakeApart(*change.seen, *change.expected);
  const std::string name = change.name + (apart.before.empty() ? "" : " " + apart.before);
  if (apart.seen.empty() && apart.expected.empty()) return change.name + " differs";  // in blanks alone
  if (apart.seen.empty()) return name + " " + Shortened(apart.expected) + " missing → restore";
  if (apart.expected.empty()) return name + " " + Shortened(apart.seen) + " unexpected → remove";
  if (apart.seen.size() > kLongestValue || apart.expected.size() > kLongestValue) return name + " differs";
  return name + " " + apart.seen + " → " + apart.expected;
}

std::string Describe(const std::vector<FactChange>& changes) {
  std::string text;
  for (const auto& change : changes) {
    if (!text.empty()) text += ", ";
    if (IsMissing(change)) {
      text += change.name + " is missing";
    } else if (!change.expected) {
      text += change.name + " is one too many";
    } else {
      text += change.name + " is '" + *change.seen + "', not '" + *change.expected + "'";
    }
  }
  return text;
}

}  // namespace nucleus::reconcile
