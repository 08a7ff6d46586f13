// JSON as plans write and read it. Internal to plan_json.cpp and saved_plan.cpp.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace nucleus::reconcile {

// To write: members stay in order, and are looked for one by one.
using Json = nlohmann::ordered_json;
// To read, where others may have written thousands of members.
using Read = nlohmann::json;

// Adds a member that is not there yet, without looking.
inline void Append(Json& object, std::string name, Json value) {
  object.get_ref<Json::object_t&>().emplace_back(std::move(name), std::move(value));
}

}  // namespace nucleus::reconcile
