// The names of system calls by architecture and number: this machine's own, and the 32-bit ones it runs as well.
//
// The table is made by libseccomp while nucleus is built (actuators/security/generator.cpp), so that who only names
// calls does not link it. Pure.
#pragma once

#include <linux/audit.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nucleus::sys {

#if defined(__x86_64__)
inline constexpr std::uint32_t kNativeArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
inline constexpr std::uint32_t kNativeArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "name the audit architecture of this machine here"
#endif

// On x86-64 numbers with this bit are x32 calls: another ABI under the same AUDIT_ARCH.
inline constexpr std::uint32_t kX32CallBit = 0x40000000U;

// "": it has none that was known when nucleus was built.
std::string_view SyscallName(std::uint32_t architecture, std::uint32_t number);
// None: nobody has that name there, as far as was known when nucleus was built.
std::optional<std::uint32_t> SyscallNumber(std::uint32_t architecture, std::string_view name);
// "syscall_999" for those.
std::string SyscallText(std::uint32_t architecture, std::uint32_t number);

// As profiles name it: "x86", "x32", "arm"; "" for the machine's own.
std::string_view ForeignAbi(std::uint32_t architecture, std::uint32_t number);

}  // namespace nucleus::sys
