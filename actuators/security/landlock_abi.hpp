// Landlock's rights by number, up to ABI 7: <linux/landlock.h> of Debian 12 ends with ABI 2. landlock(7).
#pragma once

#include <cstdint>

namespace nucleus::security {

inline constexpr std::uint64_t kExecute = 1U << 0;
inline constexpr std::uint64_t kWriteFile = 1U << 1;
inline constexpr std::uint64_t kReadFile = 1U << 2;
inline constexpr std::uint64_t kReadDir = 1U << 3;
inline constexpr std::uint64_t kRemoveDir = 1U << 4;
inline constexpr std::uint64_t kRemoveFile = 1U << 5;
inline constexpr std::uint64_t kMakeChar = 1U << 6;
inline constexpr std::uint64_t kMakeDir = 1U << 7;
inline constexpr std::uint64_t kMakeReg = 1U << 8;
inline constexpr std::uint64_t kMakeSock = 1U << 9;
inline constexpr std::uint64_t kMakeFifo = 1U << 10;
inline constexpr std::uint64_t kMakeBlock = 1U << 11;
inline constexpr std::uint64_t kMakeSym = 1U << 12;
inline constexpr std::uint64_t kRefer = 1U << 13;        // ABI 2
inline constexpr std::uint64_t kTruncate = 1U << 14;     // ABI 3
inline constexpr std::uint64_t kIoctlDev = 1U << 15;     // ABI 5
inline constexpr std::uint64_t kAllFs = (1U << 16) - 1;  // ABI 7 added logging, no right

inline constexpr std::uint64_t kBindTcp = 1U << 0;  // ABI 4
inline constexpr std::uint64_t kConnectTcp = 1U << 1;

inline constexpr std::uint64_t kScopeAbstractSocket = 1U << 0;  // ABI 6
inline constexpr std::uint64_t kScopeSignal = 1U << 1;

inline constexpr std::uint32_t kMinAbiProduction = 3;

// What a program may do where it may write: all but device nodes and requests to devices.
inline constexpr std::uint64_t kReadAccess = kReadFile | kReadDir;
inline constexpr std::uint64_t kWriteAccess = kReadAccess | kWriteFile | kTruncate | kRemoveDir | kRemoveFile |
                                              kMakeDir | kMakeReg | kMakeSock | kMakeFifo | kMakeSym | kRefer;

}  // namespace nucleus::security
