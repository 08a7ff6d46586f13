// The JSON Schema (draft 4) of the file, from the key table. What depends on more than one key (a health check that a
// dependency needs, a subnet that overlaps) is beyond it and left to validation.
#include <nlohmann/json.hpp>

#include "spec/load.hpp"
#include "spec/table.hpp"

namespace nucleus::spec {

namespace {

using Json = nlohmann::ordered_json;

// What the keys' own schemas refer to. A string may hold ${VAR}, so patterns let it through.
constexpr std::string_view kDefinitions = R"json({
  "name": {"type": "string", "pattern": "^([A-Za-z0-9][A-Za-z0-9_.-]{0,62}|.*\\$\\{.*)$"},
  "strings": {"type": "array", "items": {"type": "string"}},
  "size": {"oneOf": [
    {"type": "integer", "minimum": 0},
    {"type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?([KMGTkmgt]?i?[Bb]?)?|.*\\$\\{.*)$"}]},
  "duration": {"oneOf": [
    {"type": "number", "minimum": 0},
    {"type": "string", "pattern": "^(([0-9]+(\\.[0-9]+)?(ms|s|m|h|d)?)+|.*\\$\\{.*)$"}]},
  "cpus": {"oneOf": [
    {"type": "number", "minimum": 0.001, "maximum": 8192},
    {"type": "string", "pattern": "^([0-9]+(\\.[0-9]{1,3})?|.*\\$\\{.*)$"}]},
  "environment": {"oneOf": [
    {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}},
    {"type": "array", "items": {"type": "string", "pattern": "="}}]},
  "hostname": {"type": "string", "minLength": 1, "maxLength": 64},
  "id": {"oneOf": [
    {"type": "integer", "minimum": 0, "maximum": 4294967294},
    {"type": "string", "minLength": 1}]},
  "signal": {"oneOf": [
    {"type": "integer", "minimum": 1, "maximum": 64},
    {"type": "string", "minLength": 1}]},
  "address": {"type": "string", "pattern": "^([0-9]+(\\.[0-9]+){3}|.*\\$\\{.*)$"},
  "any_address": {"type": "string", "pattern": "^([0-9]+(\\.[0-9]+){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*|.*\\$\\{.*)$"},
  "port_forward": {"oneOf": [
    {"type": "string", "pattern": "^([0-9.]+:|\\[[0-9A-Fa-f:.]+\\]:)?[0-9]+(-[0-9]+)?:[0-9]+(-[0-9]+)?(/(tcp|udp))?$"},
    {"type": "string", "pattern": "\\$\\{"}]},
  "mount": {"type": "string", "pattern": "^([^:]+:/[^:]*(:(ro|rw|noexec)(,(ro|rw|noexec))*)?|.*\\$\\{.*)$"},
  "io_limit": {"oneOf": [
    {"type": "string", "pattern": "^[^ ]+ "},
    {"type": "object", "additionalProperties": false, "required": ["device"], "properties": {
      "device": {"type": "string", "minLength": 1},
      "read_bps": {"$ref": "#/definitions/size"}, "write_bps": {"$ref": "#/definitions/size"},
      "read_iops": {"type": "integer", "minimum": 1}, "write_iops": {"type": "integer", "minimum": 1}}}]},
  "dependency": {"oneOf": [
    {"$ref": "#/definitions/name"},
    {"type": "object", "additionalProperties": false, "required": ["service"], "properties": {
      "service": {"$ref": "#/definitions/name"},
      "condition": {"enum": ["started", "healthy", "completed"]},
      "restart": {"type": "boolean"}}}]},
  "hook": {"type": "object", "additionalProperties": false, "required": ["path"], "properties": {
    "path": {"type": "string", "minLength": 1},
    "args": {"type": "array", "minItems": 1, "items": {"type": "string"}},
    "env": {"type": "array", "items": {"type": "string", "pattern": "="}},
    "timeout": {"$ref": "#/definitions/duration"}}},
  "hook_list": {"type": "array", "items": {"$ref": "#/definitions/hook"}},
  "hooks": {"type": "object", "additionalProperties": false, "properties": {
    "createRuntime": {"$ref": "#/definitions/hook_list"}, "createContainer": {"$ref": "#/definitions/hook_list"},
    "startContainer": {"$ref": "#/definitions/hook_list"}, "poststart": {"$ref": "#/definitions/hook_list"},
    "poststop": {"$ref": "#/definitions/hook_list"}}},
  "health_check": {"oneOf": [
    {"type": "string", "minLength": 1},
    {"type": "array", "minItems": 1, "items": {"type": "string"}},
    {"type": "object", "additionalProperties": false, "properties": {
      "tcp": {"type": "integer", "minimum": 1, "maximum": 65535},
      "http": {"type": "integer", "minimum": 1, "maximum": 65535},
      "path": {"type": "string", "pattern": "^/"}}}]}
})json";

// Where a single value is expected, a variable may stand for it, whatever the value's type.
Json WithVariables(Json schema) {
  const bool single = schema.contains("enum") || schema.contains("anyOf") || schema.value("type", "") == "boolean" ||
                      schema.contains("pattern");
  if (!single) return schema;
  return Json{{"anyOf", Json::array({std::move(schema), {{"type", "string"}, {"pattern", "\\$\\{"}}})}};
}

Json Described(const KeySpec& key) {
  Json schema = WithVariables(Json::parse(key.schema()));
  const std::string text = std::string(key.info.summary) + (key.info.supported ? "" : " Not supported yet.");
  if (!schema.contains("$ref")) {
    schema["description"] = text;
    return schema;
  }
  // Beside a $ref all else is ignored in draft 4.
  return Json{{"description", text}, {"allOf", Json::array({schema})}};
}

Json Resource(Scope scope) {
  Json properties = Json::object();
  for (const auto& key : KeySpecs()) {
    if (key.info.scope == scope && key.schema != nullptr) properties[std::string(key.info.name)] = Described(key);
  }
  for (const auto& alias : KeyAliases()) {
    if (alias.scope == scope) properties[std::string(alias.alias)] = Described(*FindKeySpec(scope, alias.key));
  }
  return Json{{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
}

Json Section(const char* definition) {
  return Json{{"type", "object"},
              {"additionalProperties", false},
              {"patternProperties",
               {{"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$", {{"$ref", std::string("#/definitions/") + definition}}}}}};
}

}  // namespace

std::string JsonSchema() {
  Json definitions = Json::parse(kDefinitions);
  definitions["network"] = Resource(Scope::kNetwork);
  definitions["volume"] = Resource(Scope::kVolume);
  definitions["service"] = Resource(Scope::kService);
  Json container = Resource(Scope::kService);
  container["properties"]["name"] = {{"$ref", "#/definitions/name"}};
  definitions["service"]["properties"]["name"] = container["properties"]["name"];
  definitions["container"] = std::move(container);
  Json schema{{"$schema", "http://json-schema.org/draft-04/schema#"},
              {"title", "nucleus desired state"},
              {"type", "object"},
              {"additionalProperties", false},
              {"properties",
               {{"name", {{"$ref", "#/definitions/name"}}},
                {"include", {{"oneOf", {{{"type", "string"}}, {{"$ref", "#/definitions/strings"}}}}}},
                {"defaults", {{"$ref", "#/definitions/service"}}},
                {"networks", Section("network")},
                {"volumes", Section("volume")},
                {"services", Section("service")},
                {"container", {{"$ref", "#/definitions/container"}}}}},
              {"definitions", std::move(definitions)}};
  return schema.dump(2) + "\n";
}

}  // namespace nucleus::spec
