// What the supervisor knows of the program that helps with a service's network: which it is, what it was asked to do,
// and how it says whether that is so. The rest of the file is the program's business: network_help.hpp. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"
#include "spec/core/hash.hpp"

namespace nucleus {

inline constexpr std::string_view kNetworkFirstLine = "nucleus-network 1";

struct NetworkOrder {
  Digest digest;             // over what is asked for
  std::uint64_t serial = 0;  // another one each time it is asked for
  std::string program;       // absolute path of nucleus-network
};
// Of the text of a network file: "key value" a line, unknown keys are passed over.
Result<NetworkOrder> ReadNetworkOrder(std::string_view text);

// An answer. In the status file: the digest where all of it is so; else beside it which asking failed, what ports are
// published all the same, and why.
struct NetworkState {
  std::string digest;
  std::string serial;
  std::string why;                                            // "": it is so
  std::optional<std::vector<std::string>> published = {};     // as spec::Format() has them; none: it was not said
  [[nodiscard]] bool Publishes(std::string_view port) const;  // of those that it was asked to publish
  [[nodiscard]] std::string Text() const;
};
NetworkState ReadNetworkState(std::string_view text);

}  // namespace nucleus
