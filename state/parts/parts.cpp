#include "state/parts/parts.hpp"

namespace nucleus {

Facts ExpectedFacts(const Wanted& wanted) {
  return std::visit([](const auto& part) { return ExpectedFacts(part); }, wanted);
}

}  // namespace nucleus
