#include "policy/seccomp_compile.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>

#include "actuators/security/syscall_policy.hpp"
#include "actuators/sys/fd.hpp"
#include "policy/seccomp_cache.hpp"
#include "policy/seccomp_multiplexed.hpp"
#include "policy/seccomp_verify.hpp"
#include "policy/seccomp_words.hpp"
#include "spec/core/nearest.hpp"
#include "spec/core/text.hpp"

namespace nucleus::policy {

namespace {

std::mutex& OneAtATime() {
  static std::mutex mutex;
  return mutex;
}

std::optional<std::uint32_t> Token(SeccompArch arch) {
  switch (arch) {
    case SeccompArch::kX86_64:
      return SCMP_ARCH_X86_64;
    case SeccompArch::kX32:
      return SCMP_ARCH_X32;
    case SeccompArch::kX86:
      return SCMP_ARCH_X86;
    case SeccompArch::kAarch64:
      return SCMP_ARCH_AARCH64;
    case SeccompArch::kArm:
      return SCMP_ARCH_ARM;
    default:  // of no machine that nucleus runs on
      return std::nullopt;
  }
}

bool Is32Bit(SeccompArch arch) {
  return arch == SeccompArch::kX86 || arch == SeccompArch::kX32 || arch == SeccompArch::kArm;
}

std::uint32_t ActionOf(const SeccompVerdict& verdict) {
  switch (verdict.action) {
    case SeccompAction::kKillProcess:
      return SCMP_ACT_KILL_PROCESS;
    case SeccompAction::kKillThread:
      return SCMP_ACT_KILL_THREAD;
    case SeccompAction::kTrap:
      return SCMP_ACT_TRAP;
    case SeccompAction::kErrno:
      return SCMP_ACT_ERRNO(verdict.error);
    case SeccompAction::kLog:
      return SCMP_ACT_LOG;
    case SeccompAction::kAllow:
      return SCMP_ACT_ALLOW;
  }
  return SCMP_ACT_KILL_PROCESS;
}

scmp_compare OperatorOf(SeccompOp op) {
  switch (op) {
    case SeccompOp::kNotEqual:
      return SCMP_CMP_NE;
    case SeccompOp::kLess:
      return SCMP_CMP_LT;
    case SeccompOp::kLessOrEqual:
      return SCMP_CMP_LE;
    case SeccompOp::kEqual:
      return SCMP_CMP_EQ;
    case SeccompOp::kGreaterOrEqual:
      return SCMP_CMP_GE;
    case SeccompOp::kGreater:
      return SCMP_CMP_GT;
    case SeccompOp::kMaskedEqual:
      return SCMP_CMP_MASKED_EQ;
  }
  return SCMP_CMP_EQ;
}

// The number by which libseccomp takes a name, whatever the architecture it is for: the native one, or a negative one
// that stands for the name. None for what nobody knows.
std::optional<int> NumberOf(const std::string& name) {
  const int number = seccomp_syscall_resolve_name(name.c_str());
  if (number != __NR_SCMP_ERROR) return number;
  for (const auto& call : security::NewCalls()) {
    if (call.name == name) return static_cast<int>(call.number);
  }
  return std::nullopt;
}

Error Failed(std::string_view call, std::string_view subject, int code) {
  return Error::Of(ErrorCode::kSystem, call, subject, "libseccomp: " + ErrnoName(-code));
}

struct Release {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, Release>;

// One architecture's share of the filter.
class ArchFilter {
 public:
  ArchFilter(const ResolvedSeccomp& profile, SeccompArch arch, std::uint32_t token)
      : profile_(profile), arch_(arch), token_(token) {}

  Result<Context> Build(std::span<const NarrowedCall> calls) {
    context_.reset(seccomp_init(ActionOf(profile_.default_verdict)));
    if (!context_) return Fail(ErrorCode::kSystem, "seccomp_init", "", "libseccomp made no filter");
    TRY(Attribute(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
    TRY(Attribute(SCMP_FLTATR_CTL_NNP, 0));       // nucleus sets it, and loads the program, itself
    TRY(Attribute(SCMP_FLTATR_CTL_OPTIMIZE, 2));  // a binary tree of the numbers
    if (const std::uint32_t native = seccomp_arch_native(); token_ != native) {
      if (const int code = seccomp_arch_add(context_.get(), token_); code != 0) {
        return Fail(Failed("seccomp_arch_add", TextOf(ArchWords(), arch_), code));
      }
      if (const int code = seccomp_arch_remove(context_.get(), native); code != 0) {
        return Fail(Failed("seccomp_arch_remove", "native", code));
      }
    }
    for (const auto& call : calls) TRY(AddCall(call.name, call.clauses));
    return std::move(context_);
  }

 private:
  Result<> Attribute(scmp_filter_attr attribute, std::uint32_t value) {
    const int code = seccomp_attr_set(context_.get(), attribute, value);
    if (code != 0) return Fail(Failed("seccomp_attr_set", std::to_string(attribute), code));
    return {};
  }

  Result<> AddCall(const std::string& name, const std::vector<SeccompClause>& clauses) {
    const auto number = NumberOf(name);
    if (!number) return {};  // CheckSyscallNames() speaks of it
    const bool native = token_ == seccomp_arch_native();
    if (native && *number < 0) return {};
    if (!native && seccomp_syscall_resolve_name_arch(token_, name.c_str()) == __NR_SCMP_ERROR) {
      return UnknownHere(name, clauses);
    }
    for (const SeccompClause& clause : clauses) {
      if (clause.verdict != profile_.default_verdict) TRY(AddRule(name, *number, clause));
    }
    return {};
  }

  // A call younger than this libseccomp has a number on the native architecture only.
  Result<> UnknownHere(const std::string& name, const std::vector<SeccompClause>& clauses) const {
    for (const SeccompClause& clause : clauses) {
      if (!clause.verdict.StricterThan(profile_.default_verdict)) continue;
      return Fail(Error::Of(ErrorCode::kUnsupported, "compile seccomp", name,
                            "this libseccomp does not know it on " + std::string(TextOf(ArchWords(), arch_)) +
                                ", so that it could not be refused there")
                      .Hint("leave that architecture out of the profile"));
    }
    return {};
  }

  Result<> AddRule(const std::string& name, int number, const SeccompClause& clause) {
    std::vector<scmp_arg_cmp> args;
    for (const SeccompArg& arg : clause.args) {
      const std::uint64_t compared = arg.op == SeccompOp::kMaskedEqual ? arg.value_two : arg.value;
      if (Is32Bit(arch_) && compared > UINT32_MAX) {
        return Fail(
            Error::Of(ErrorCode::kUnsupported, "compile seccomp", name,
                      ArgText(arg) + ": arguments of " + std::string(TextOf(ArchWords(), arch_)) + " have 32 bits")
                .Hint("leave that architecture out of the profile"));
      }
      args.push_back({arg.index, OperatorOf(arg.op), arg.value, arg.value_two});
    }
    const int code = seccomp_rule_add_array(context_.get(), ActionOf(clause.verdict), number,
                                            static_cast<unsigned>(args.size()), args.data());
    if (code != 0) return Fail(Failed("seccomp_rule_add", name, code));
    return {};
  }

  const ResolvedSeccomp& profile_;
  SeccompArch arch_;
  std::uint32_t token_;
  Context context_;
};

Result<std::string> Export(void* context) {
  std::string bytes;
#if SCMP_VER_MAJOR > 2 || (SCMP_VER_MAJOR == 2 && SCMP_VER_MINOR >= 6)
  std::size_t size = 0;
  if (const int code = seccomp_export_bpf_mem(context, nullptr, &size); code != 0) {
    return Fail(Failed("seccomp_export_bpf_mem", "", code));
  }
  bytes.resize(size);
  if (const int code = seccomp_export_bpf_mem(context, bytes.data(), &size); code != 0) {
    return Fail(Failed("seccomp_export_bpf_mem", "", code));
  }
#else
  const sys::Fd file(::memfd_create("nucleus-seccomp", MFD_CLOEXEC));
  if (!file) return FailSys("memfd_create", "nucleus-seccomp");
  if (const int code = seccomp_export_bpf(context, file.get()); code != 0) {
    return Fail(Failed("seccomp_export_bpf", "", code));
  }
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  if (size < 0) return FailSys("lseek", "nucleus-seccomp");
  bytes.resize(static_cast<std::size_t>(size));
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t got = ::pread(file.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return FailSys("pread", "nucleus-seccomp", got == 0 ? EIO : errno);
    done += static_cast<std::size_t>(got);
  }
#endif
  return bytes;
}

// The rules of one architecture, by call.
std::vector<NarrowedCall> CallsOf(const ResolvedSeccomp& profile, SeccompArch arch) {
  if (arch == SeccompArch::kX86) return NarrowedForI386(profile);
  std::vector<NarrowedCall> calls;
  for (const auto& [name, clauses] : profile.calls) calls.push_back({name, clauses});
  return calls;
}

// What the program is to do with them. calls must outlive what is added.
void Expect(std::span<const NarrowedCall> calls, SeccompArch arch, std::uint32_t token,
            std::vector<ExpectedCall>& out) {
  for (const NarrowedCall& call : calls) {
    // libseccomp adds rules of its own to these, which the tests look at.
    if (arch == SeccompArch::kX86 && !SubCallsOf(call.name).empty()) continue;
    int number = seccomp_syscall_resolve_name_arch(token, call.name.c_str());
    if (number == __NR_SCMP_ERROR && token == seccomp_arch_native()) number = NumberOf(call.name).value_or(-1);
    if (number < 0) continue;  // not on this architecture
    const std::uint32_t audit = token == SCMP_ARCH_X32 ? SCMP_ARCH_X86_64 : token;
    out.push_back({call.name, audit, static_cast<std::uint32_t>(number), Is32Bit(arch), call.clauses});
  }
}

std::vector<BpfInstruction> ProgramFrom(std::string_view bytes) {
  static_assert(sizeof(sock_filter) == 8);
  std::vector<BpfInstruction> program;
  for (std::size_t at = 0; at + sizeof(sock_filter) <= bytes.size(); at += sizeof(sock_filter)) {
    sock_filter one{};
    std::memcpy(&one, bytes.data() + at, sizeof one);
    program.push_back({one.code, one.jt, one.jf, one.k});
  }
  return program;
}

}  // namespace

std::string LibseccompVersion() {
  const scmp_version* version = seccomp_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->micro);
}

std::vector<spec::Problem> CheckSyscallNames(const SeccompProfile& profile, const SeccompInputs& inputs) {
  const std::lock_guard lock(OneAtATime());
  std::vector<std::string_view> known;
  for (const auto& rule : profile.rules) {
    for (const auto& name : rule.names) known.push_back(name.text);
  }
  for (const auto& call : security::NewCalls()) known.push_back(call.name);
  for (const auto& row : security::PolicyRows()) {
    for (std::string_view rest = row.calls; !rest.empty();) {
      known.push_back(rest.substr(0, rest.find(' ')));
      rest.remove_prefix(std::min(rest.size(), known.back().size() + 1));
    }
  }
  std::erase_if(known, [](std::string_view name) { return !NumberOf(std::string(name)); });
  std::vector<spec::Problem> problems;
  std::size_t suggestions_left = 64;
  const auto suggestion = [&](std::string_view name) -> std::string {
    if (suggestions_left == 0) return "";
    --suggestions_left;
    const auto nearest = Nearest(name, known);
    return nearest ? ", did you mean '" + std::string(*nearest) + "'?" : "";
  };
  constexpr std::size_t kMost = 1000;
  for (const auto& rule : profile.rules) {
    const bool needed = rule.verdict.StricterThan(profile.default_verdict);
    for (std::size_t i = 0; i < rule.names.size() && problems.size() < kMost; ++i) {
      const auto& name = rule.names[i];
      if (NumberOf(name.text)) continue;
      problems.push_back({profile.file, name.place.line, name.place.column,
                          rule.path + "/names/" + std::to_string(i) + ": unknown system call '" + name.text + "'" +
                              suggestion(name.text) +
                              (needed ? "; it was to " + VerdictText(rule.verdict) + ", and would pass" : ""),
                          !needed});
    }
  }
  for (const auto& name : inputs.allow) {
    if (NumberOf(name)) continue;
    problems.push_back(
        {"", 0, 0, "--seccomp-allow: unknown system call '" + Printable(name) + "'" + suggestion(name), false});
  }
  return problems;
}

Result<std::vector<BpfInstruction>> CompileSeccomp(const ResolvedSeccomp& profile) {
  const std::lock_guard lock(OneAtATime());
  // What the program may say is the matter of the kernel that it will run on, not of this one; level 3 has all that is
  // used here, and is Linux 4.14.
  if (seccomp_api_get() < 3) seccomp_api_set(3);
  Context whole;
  std::vector<std::vector<NarrowedCall>> calls;
  std::vector<ExpectedCall> expected;
  for (const SeccompArch arch : profile.architectures) {
    const auto token = Token(arch);
    if (!token) {
      return Fail(ErrorCode::kUnsupported, "compile seccomp", TextOf(ArchWords(), arch), "not on this machine");
    }
    calls.push_back(CallsOf(profile, arch));
    Context part = TRY(ArchFilter(profile, arch, *token).Build(calls.back()));
    Expect(calls.back(), arch, *token, expected);
    if (!whole) {
      whole = std::move(part);
    } else {
      const int code = seccomp_merge(whole.get(), part.get());
      if (code != 0) return Fail(Failed("seccomp_merge", TextOf(ArchWords(), arch), code));
      static_cast<void>(part.release());  // it belongs to the other now
    }
  }
  if (!whole) return Fail(ErrorCode::kInternal, "compile seccomp", "", "no architecture");
  auto program = ProgramFrom(TRY(Export(whole.get())));
  if (program.empty() || program.size() > BPF_MAXINSNS) {
    return Fail(ErrorCode::kUnsupported, "compile seccomp", "",
                std::to_string(program.size()) + " instructions, and the kernel takes 4096");
  }
  if (const auto difference = FirstDifference(program, profile.default_verdict, expected)) {
    return Fail(Error::Of(ErrorCode::kUnsupported, "compile seccomp", "",
                          "libseccomp " + LibseccompVersion() + " makes a wrong program of these rules: " + *difference)
                    .Hint("rules that compare fewer arguments, by EQ, NE or MASKED_EQ, are understood by it"));
  }
  return program;
}

SeccompBuild BuildSeccomp(std::string_view text, std::string_view file, const SeccompInputs& inputs,
                          const std::string& cache) {
  SeccompBuild build;
  const Digest key = SeccompCacheKey(text, inputs, LibseccompVersion());
  if (auto entry = cache.empty() ? std::nullopt : LoadCachedSeccomp(cache, key)) {
    build.flag_log = entry->flag_log;
    build.flag_spec_allow = entry->flag_spec_allow;
    build.program = std::move(entry->program);
    build.cached = true;
    return build;
  }
  SeccompRead read = ReadSeccompProfile(text, file);
  build.problems = std::move(read.problems);
  if (!read.profile) return build;
  SeccompResolution resolution = ResolveSeccomp(*read.profile, inputs);
  for (auto* more : {&resolution.problems}) std::ranges::move(*more, std::back_inserter(build.problems));
  std::ranges::move(CheckSyscallNames(*read.profile, inputs), std::back_inserter(build.problems));
  if (std::ranges::any_of(build.problems, [](const auto& problem) { return !problem.warning; })) return build;
  auto program = CompileSeccomp(*resolution.profile);
  if (!program) {
    build.problems.push_back({std::string(file), 0, 0, program.error().Message(), false});
    return build;
  }
  build.flag_log = resolution.profile->flag_log;
  build.flag_spec_allow = resolution.profile->flag_spec_allow;
  if (!cache.empty()) {
    const auto stored = StoreCachedSeccomp(cache, key, {*program, build.flag_log, build.flag_spec_allow});
    if (!stored) build.problems.push_back({"", 0, 0, stored.error().Message(), true});
  }
  build.program = *std::move(program);
  return build;
}

}  // namespace nucleus::policy
