// Facts by name: what a std::map says of the same insertions.
#include "state/parts/named_facts.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

namespace nucleus {
namespace {

using Map = std::map<std::string, std::string>;
using Pairs = std::vector<std::pair<std::string, std::string>>;

rc::Gen<Pairs> SomePairs() {
  const auto word = rc::gen::element<std::string>("a", "b", "c", "d", "io.max:8:0", "memory.max", "z");
  return rc::gen::container<Pairs>(rc::gen::pair(word, word));
}

NamedFacts FactsOf(const Pairs& pairs) {
  NamedFacts facts;
  for (const auto& [name, value] : pairs) facts.emplace(name, value);
  return facts;
}

Map MapOf(const Pairs& pairs) {
  return {pairs.begin(), pairs.end()};
}

Map AsMap(const NamedFacts& facts) {
  const Map map(facts.begin(), facts.end());
  RC_ASSERT(map.size() == facts.size());
  RC_ASSERT(std::ranges::is_sorted(facts));
  return map;
}

RC_GTEST_PROP(NamedFacts, WhatIsThereStays, ()) {
  const auto pairs = *SomePairs();
  RC_ASSERT(AsMap(FactsOf(pairs)) == MapOf(pairs));
  RC_ASSERT(NamedFacts(MapOf(pairs)) == FactsOf(pairs));
}

RC_GTEST_PROP(NamedFacts, MergeTakesOtherNames, ()) {
  const auto left = *SomePairs();
  const auto right = *SomePairs();
  auto facts = FactsOf(left);
  facts.merge(FactsOf(right));
  auto expected = MapOf(left);
  expected.merge(MapOf(right));
  RC_ASSERT(AsMap(facts) == expected);
}

RC_GTEST_PROP(NamedFacts, FindsSetsAndErases, ()) {
  const auto pairs = *SomePairs();
  auto facts = FactsOf(pairs);
  auto expected = MapOf(pairs);
  for (const std::string name : {"", "a", "c", "zz"}) {
    RC_ASSERT(facts.contains(name) == expected.contains(name));
    if (expected.contains(name)) RC_ASSERT(facts.at(name) == expected.at(name));
    RC_ASSERT(facts.erase(name) == expected.erase(name));
    facts[name] = expected[name] = "set";
    RC_ASSERT(AsMap(facts) == expected);
  }
}

TEST(NamedFacts, SaysWhenThereIsNone) {
  EXPECT_THROW((void)NamedFacts().at("memory.max"), std::out_of_range);
}

}  // namespace
}  // namespace nucleus
