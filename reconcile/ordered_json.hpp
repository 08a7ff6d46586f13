// For plan_json.cpp and saved_plan.cpp, which write JSON whose members stay in order (nlohmann::ordered_json): there a
// member is looked for among all others, one by one.
#pragma once

#include <string>
#include <utility>

namespace nucleus::reconcile {

// Adds a member that is not there yet, without looking.
template <class Json>
void Append(Json& object, std::string name, Json value) {
  object.template get_ref<typename Json::object_t&>().emplace_back(std::move(name), std::move(value));
}

}  // namespace nucleus::reconcile
