// Capabilities by name; capabilities(7).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nucleus::security {

// "NET_BIND_SERVICE", in the order of their numbers; one without a name as "CAP_63".
std::vector<std::string> CapabilityNames(std::uint64_t mask);
// With or without CAP_, in any letter case.
std::optional<int> CapabilityNumber(std::string_view name);

}  // namespace nucleus::security
