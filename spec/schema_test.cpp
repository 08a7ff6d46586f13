// The JSON Schema names what the parser knows. That it holds is tested by an independent validator, in tests/schema.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "spec/table.hpp"
#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

using Json = nlohmann::json;

const Json& Properties(const Json& schema, Scope scope) {
  static const std::map<Scope, std::string> kDefinitions{
      {Scope::kNetwork, "network"}, {Scope::kVolume, "volume"}, {Scope::kService, "service"}};
  return scope == Scope::kTopology ? schema.at("properties")
                                   : schema.at("definitions").at(kDefinitions.at(scope)).at("properties");
}

TEST(Schema, HasEveryKeyAndEveryOtherNameOfOne) {
  const Json schema = Json::parse(JsonSchema());
  std::map<Scope, std::size_t> expected{{Scope::kService, 1}};  // name, which only repeats the table's
  for (const auto& key : Keys()) {
    EXPECT_TRUE(Properties(schema, key.scope).contains(key.name)) << key.name;
    ++expected[key.scope];
  }
  for (const auto& alias : KeyAliases()) {
    EXPECT_EQ(Properties(schema, alias.scope).at(std::string(alias.alias)),
              Properties(schema, alias.scope).at(std::string(alias.key)))
        << alias.alias;
    ++expected[alias.scope];
  }
  for (const auto& [scope, count] : expected) EXPECT_EQ(Properties(schema, scope).size(), count);
}

TEST(Schema, SaysWhatHasNoEffectYet) {
  const Json schema = Json::parse(JsonSchema());
  for (const auto& key : Keys()) {
    if (key.scope == Scope::kTopology) continue;
    const auto text = Properties(schema, key.scope).at(std::string(key.name)).at("description").get<std::string>();
    EXPECT_EQ(text.ends_with("Not supported yet."), !key.supported) << key.name;
    EXPECT_TRUE(text.starts_with(key.summary)) << key.name;
  }
}

TEST(Schema, EveryReferenceLeadsSomewhere) {
  const Json schema = Json::parse(JsonSchema());
  const Json flat = schema.flatten();
  for (const auto& [path, value] : flat.items()) {
    if (!path.ends_with("/$ref")) continue;
    EXPECT_TRUE(schema.contains(Json::json_pointer(value.get<std::string>().substr(1)))) << path << " " << value;
  }
}

}  // namespace
}  // namespace nucleus::spec
