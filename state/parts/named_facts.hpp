// Facts by name: what a std::map would be, in one piece of memory. A planner walks along those of every part of a
// topology, and nodes scattered over memory are what that would wait for.
//
// Added in the order of the names, each costs the same; in any other, what is behind it moves: of many, or as many as
// somebody else likes, gather them in a map first.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nucleus {

class NamedFacts {
  template <class Facts>
  static auto Place(Facts& facts, std::string_view name) {
    return std::ranges::lower_bound(facts, name, {}, [](const auto& fact) { return std::string_view(fact.first); });
  }
  template <class Facts>
  static auto Found(Facts& facts, std::string_view name) {
    const auto at = Place(facts, name);
    return at != facts.end() && at->first == name ? at : facts.end();
  }

 public:
  using key_type = std::string;
  using mapped_type = std::string;
  using value_type = std::pair<std::string, std::string>;
  using iterator = std::vector<value_type>::iterator;
  using const_iterator = std::vector<value_type>::const_iterator;

  NamedFacts() = default;
  NamedFacts(std::initializer_list<value_type> facts) {
    for (const auto& [name, value] : facts) emplace(name, value);
  }
  explicit NamedFacts(std::map<std::string, std::string> facts) {
    facts_.reserve(facts.size());
    for (auto& [name, value] : facts) facts_.emplace_back(name, std::move(value));
  }

  [[nodiscard]] iterator begin() { return facts_.begin(); }
  [[nodiscard]] iterator end() { return facts_.end(); }
  [[nodiscard]] const_iterator begin() const { return facts_.begin(); }
  [[nodiscard]] const_iterator end() const { return facts_.end(); }
  [[nodiscard]] std::size_t size() const { return facts_.size(); }
  [[nodiscard]] bool empty() const { return facts_.empty(); }

  [[nodiscard]] iterator find(std::string_view name) { return Found(facts_, name); }
  [[nodiscard]] const_iterator find(std::string_view name) const { return Found(facts_, name); }
  [[nodiscard]] bool contains(std::string_view name) const { return find(name) != end(); }
  [[nodiscard]] const std::string& at(std::string_view name) const {
    const auto found = find(name);
    if (found == end()) throw std::out_of_range("no fact of this name");
    return found->second;
  }

  std::string& operator[](std::string_view name) { return emplace(name, "").first->second; }
  // As a map's: what is there stays.
  template <class Value>
  std::pair<iterator, bool> emplace(std::string_view name, Value&& value) {
    constexpr std::size_t kUsual = 8;
    if (facts_.empty()) facts_.reserve(kUsual);
    const auto at = empty() || facts_.back().first < name ? end() : Place(facts_, name);
    if (at != end() && at->first == name) return {at, false};
    return {facts_.emplace(at, std::string(name), std::string(std::forward<Value>(value))), true};
  }
  iterator insert(const_iterator, value_type fact) { return emplace(fact.first, std::move(fact.second)).first; }

  iterator erase(const_iterator at) { return facts_.erase(at); }
  std::size_t erase(std::string_view name) {
    const auto found = find(name);
    if (found == end()) return 0;
    facts_.erase(found);
    return 1;
  }
  // Those of other names; `other` is used up.
  void merge(NamedFacts other) {
    std::vector<value_type> all;
    all.reserve(size() + other.size());
    std::merge(std::move_iterator(begin()), std::move_iterator(end()), std::move_iterator(other.begin()),
               std::move_iterator(other.end()), std::back_inserter(all),
               [](const value_type& a, const value_type& b) { return a.first < b.first; });
    const auto same = [](const value_type& a, const value_type& b) { return a.first == b.first; };
    all.erase(std::unique(all.begin(), all.end(), same), all.end());
    facts_ = std::move(all);
  }

  bool operator==(const NamedFacts&) const = default;

 private:
  std::vector<value_type> facts_;  // sorted by name, each once
};

}  // namespace nucleus
