// SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104), by Nettle.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "spec/core/error.hpp"

namespace nucleus {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  [[nodiscard]] std::string Hex() const;
  // 64 hexadecimal digits in either case, with or without "sha256:" before them.
  static Result<Digest> Parse(std::string_view text);

  auto operator<=>(const Digest&) const = default;
};

// An incremental hash. Add() with a length prefix (AddField) where fields must not run into each other.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& Add(std::string_view data);
  Sha256& AddField(std::string_view data);
  Digest Finish();  // and start anew

  static Digest Of(std::string_view data);
  static Digest Keyed(std::string_view key, std::string_view data);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nucleus
