#include "actuators/security/default_profile.hpp"

namespace nucleus::security {

namespace {
constexpr BpfInstruction kProgram[] = {
#include "default_profile.inc"
};
}  // namespace

std::span<const BpfInstruction> DefaultProfile() {
  return kProgram;
}

}  // namespace nucleus::security
