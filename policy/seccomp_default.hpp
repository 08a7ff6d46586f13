// nucleus' own policy, of which actuators/security makes the program that containers have, as a profile of the OCI
// format: for who wants to read it, to change it, or to have it elsewhere. What is compiled of either says the same of
// every call (seccomp_default_test.cpp). Pure.
//
// Its tests look at the low 32 bits of an argument, one after the other, and the rules of a profile have no order and
// no "else": what is left of the 32 bits is said by masks, several of one argument in a rule, of which any may hold.
#pragma once

#include <span>

#include "policy/seccomp_profile.hpp"

namespace nucleus::policy {

inline constexpr std::string_view kDefaultProfileName = "default";

SeccompProfile DefaultSeccompProfile();

// Why it refuses calls of those names, a sentence each: "ptrace: reach into other processes". None of a call that is
// only newer than the policy, and of one that it allows.
std::vector<std::string> WhyRefusedByDefault(std::span<const std::string> names);

}  // namespace nucleus::policy
