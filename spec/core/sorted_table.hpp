// A table of constants that is found by key: its order is made by the compiler. A map of it would be filled at every
// start of a program that runs for milliseconds.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <type_traits>

namespace nucleus {

// kTable: an array of constants, with no two of one key. KeyOf: what its rows are ordered by.
template <const auto& kTable, class KeyOf>
class SortedTable {
 public:
  using Row = std::remove_cvref_t<decltype(kTable[0])>;
  using Key = std::invoke_result_t<KeyOf, const Row&>;

  static constexpr const Row* Find(const Key& key) {
    static_assert(std::ranges::adjacent_find(kOrder, {}, KeyAt) == kOrder.end(), "two rows of one key");
    const auto found = std::ranges::lower_bound(kOrder, key, {}, KeyAt);
    return found == kOrder.end() || KeyAt(*found) != key ? nullptr : &kTable[*found];
  }

 private:
  static constexpr Key KeyAt(std::uint16_t index) { return KeyOf{}(kTable[index]); }
  static constexpr auto kOrder = [] {
    static_assert(kTable.size() <= 0x1'0000);
    std::array<std::uint16_t, kTable.size()> order{};
    std::iota(order.begin(), order.end(), std::uint16_t{0});
    std::ranges::sort(order, {}, KeyAt);
    return order;
  }();
};

}  // namespace nucleus
