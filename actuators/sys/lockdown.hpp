// How far the kernel is locked down: what even root may not do to it; kernel_lockdown(7).
#pragma once

#include <string>
#include <string_view>

#include "actuators/sys/file.hpp"
#include "spec/core/error.hpp"

namespace nucleus::sys {

inline constexpr const char* kLockdownFile = "/sys/kernel/security/lockdown";

// "none [integrity] confidentiality" -> "integrity". "": it does not read.
inline std::string_view ParseLockdown(std::string_view text) {
  const auto open = text.find('[');
  const auto close = text.find(']', open == std::string_view::npos ? 0 : open);
  if (open == std::string_view::npos || close == std::string_view::npos) return {};
  return text.substr(open + 1, close - open - 1);
}

// "none", "integrity" or "confidentiality". kUnsupported: the kernel does not say.
inline Result<std::string> ReadLockdown() {
  const auto text = TRY(ReadFileIfThere(kLockdownFile));
  const std::string level(text ? ParseLockdown(*text) : std::string_view());
  if (level.empty())
    return Fail(ErrorCode::kUnsupported, "read", kLockdownFile,
                "this kernel has no lockdown, or securityfs is not mounted");
  return level;
}

}  // namespace nucleus::sys
