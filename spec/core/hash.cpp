#include "spec/core/hash.hpp"

#include <nettle/hmac.h>
#include <nettle/sha2.h>

#include <algorithm>

namespace nucleus {

namespace {

const std::uint8_t* Bytes8(std::string_view data) {
  return reinterpret_cast<const std::uint8_t*>(data.data());
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

struct Sha256::State {
  sha256_ctx context;
};

std::string Digest::Hex() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(2 * bytes.size(), '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    text[2 * i] = kDigits[bytes[i] >> 4];
    text[2 * i + 1] = kDigits[bytes[i] & 15];
  }
  return text;
}

Result<Digest> Digest::Parse(std::string_view text) {
  constexpr std::string_view kExpected =
      "not a SHA-256 digest: 64 hexadecimal digits, with or without sha256: before them";
  std::string_view digits = text;
  constexpr std::string_view kPrefix = "sha256:";
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  if (std::ranges::equal(digits.substr(0, kPrefix.size()), kPrefix, {}, lower)) digits.remove_prefix(kPrefix.size());
  if (digits.size() != 64) return Fail(Error::Invalid(text, kExpected));
  Digest digest;
  for (std::size_t i = 0; i < digest.bytes.size(); ++i) {
    const int high = HexValue(digits[2 * i]);
    const int low = HexValue(digits[2 * i + 1]);
    if (high < 0 || low < 0) return Fail(Error::Invalid(text, kExpected));
    digest.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return digest;
}

Sha256::Sha256() : state_(std::make_unique<State>()) {
  sha256_init(&state_->context);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::Add(std::string_view data) {
  sha256_update(&state_->context, data.size(), Bytes8(data));
  return *this;
}

Sha256& Sha256::AddField(std::string_view data) {
  constexpr std::size_t kLength = 8;
  constexpr std::size_t kAtOnce = 120;  // a short field and its length are one update
  std::array<std::uint8_t, kLength + kAtOnce> start;
  for (std::size_t i = 0; i < kLength; ++i) start[i] = static_cast<std::uint8_t>(data.size() >> (8 * i));
  const auto head = data.substr(0, kAtOnce);
  std::copy(head.begin(), head.end(), start.begin() + kLength);
  sha256_update(&state_->context, kLength + head.size(), start.data());
  return data.size() > kAtOnce ? Add(data.substr(kAtOnce)) : *this;
}

Digest Sha256::Finish() {
  Digest digest;
  sha256_digest(&state_->context, digest.bytes.size(), digest.bytes.data());  // resets the context too
  return digest;
}

Digest Sha256::Of(std::string_view data) {
  sha256_ctx context;
  Digest digest;
  sha256_init(&context);
  sha256_update(&context, data.size(), Bytes8(data));
  sha256_digest(&context, digest.bytes.size(), digest.bytes.data());
  return digest;
}

Digest Sha256::Keyed(std::string_view key, std::string_view data) {
  hmac_sha256_ctx context;
  Digest digest;
  hmac_sha256_set_key(&context, key.size(), Bytes8(key));
  hmac_sha256_update(&context, data.size(), Bytes8(data));
  hmac_sha256_digest(&context, digest.bytes.size(), digest.bytes.data());
  return digest;
}

}  // namespace nucleus
