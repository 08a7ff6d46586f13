// Whole numbers out of JSON that others may have written.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <stdexcept>

namespace nucleus::reconcile {

// Throws std::out_of_range for what is no whole number or too large for T: nlohmann's own conversion of 1e118 is
// undefined, and that of -1 or of 2^32 gives another number.
template <std::unsigned_integral T, class Json>
T WholeNumber(const Json& value) {
  if (!value.is_number_unsigned() || value.template get<std::uint64_t>() > std::numeric_limits<T>::max()) {
    throw std::out_of_range("a number is none, or out of range");
  }
  return value.template get<T>();
}

}  // namespace nucleus::reconcile
