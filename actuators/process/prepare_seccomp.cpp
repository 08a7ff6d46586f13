// Which seccomp program a child loads: the policy's, one that asks the supervisor about some calls, or one that asks
// about all.
#include <sys/syscall.h>

#include <algorithm>

#include "actuators/process/child_data.hpp"
#include "actuators/process/seccomp_program.hpp"
#include "actuators/sys/syscall_names.hpp"

namespace nucleus::process {

namespace {

constexpr std::size_t kHelperStack = 32 << 10;

std::vector<sock_filter> ForKernel(const std::vector<BpfInstruction>& program) {
  std::vector<sock_filter> out;
  out.reserve(program.size());
  for (const auto& line : program) out.push_back({line.code, line.jt, line.jf, line.k});
  return out;
}

// Our own execve, with the very arguments that it will have.
bool DeniesExec(const Buffers& data) {
  const auto address = [](const auto* pointer) { return reinterpret_cast<std::uint64_t>(pointer); };
  return std::ranges::any_of(data.programs, [&](const char* program) {
    seccomp_data call{};
    call.nr = SYS_execve;
    call.arch = sys::kNativeArchitecture;
    call.args[0] = address(program);
    call.args[1] = address(data.argv.data());
    call.args[2] = address(data.envp.data());
    return !LetsThrough(RunSeccomp(data.launch.security.seccomp, call));
  });
}

}  // namespace

// A probe is told of as the workload is: what it may not do is what the workload may not. Another command in a running
// container is held by the policy, and nobody counts.
void PrepareSeccomp(Buffers& data) {
  const Security& security = data.launch.security;
  if (data.without_seccomp) return;
  const bool workload = !data.inside, told = workload || data.attended;
  if (told && security.seccomp_trace) {
    data.seccomp = ForKernel(TracingProgram());
    data.listens = data.asks_exec = true;
  } else if (!security.seccomp.empty()) {
    Asked asked = workload && security.seccomp_own ? Asked::kKills : Asked::kNothing;
    if (told && security.seccomp_log_denied) asked = Asked::kDenials;
    data.asks_exec = DeniesExec(data);
    data.listens = data.asks_exec || HasWhat(security.seccomp, asked);
    data.seccomp = ForKernel(data.listens ? AskingProgram(security.seccomp, asked, data.asks_exec) : security.seccomp);
    const bool must = data.asks_exec || (workload && asked == Asked::kDenials);
    if (data.listens && !must) data.seccomp_plain = ForKernel(security.seccomp);
  }
  if (data.listens) data.helper_stack.resize(kHelperStack);
}

}  // namespace nucleus::process
