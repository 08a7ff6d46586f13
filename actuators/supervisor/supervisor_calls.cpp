// What a supervisor does about the system calls of its workload, where the seccomp program asks it.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "actuators/supervisor/supervisor.hpp"
#include "actuators/sys/file.hpp"

namespace nucleus::process {

namespace {

constexpr std::string_view kPrefix = "nucleus: ";
constexpr Millis kWriteEveryMs = 10'000;

}  // namespace

Result<> CheckTraceFile(const std::string& path) {
  if (path.empty()) return {};
  struct stat st{};
  // It is replaced as a whole, which a device or a pipe would not survive.
  if (::lstat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode))
    return Fail(ErrorCode::kInvalid, "write", path, "it is there, and no file");
  sys::RemoveTemporaries(path);
  const std::string probe = TRY(sys::TemporaryName(path));
  if (auto made = sys::Open(probe, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600); !made) {
    Error error = std::move(made).error();
    error.subject = path;
    return Fail(std::move(error));
  }
  if (::unlink(probe.c_str()) != 0) return FailSys("remove", probe);
  return {};
}

std::vector<std::string> Supervisor::Denials() const {
  return answers_ ? answers_->denials().Lines() : std::vector<std::string>();
}

void Supervisor::AttendCalls() {
  if (!workload_ || !workload_->listener) return;
  if (!answers_) answers_ = std::make_unique<SyscallAnswers>(launch_);
  answers_->Listen(std::move(workload_->listener));
  write_trace_at_ = launch_.security.seccomp_trace ? started_ + kWriteEveryMs : 0;
}

void Supervisor::AttendProbe() {
  if (!probe_->listener()) return;
  if (!answers_) answers_ = std::make_unique<SyscallAnswers>(launch_);
  answers_->BeginProgram();
}

void Supervisor::ServeCalls() {
  answers_->Serve();
  TellNews();
}

void Supervisor::ServeProbe() {
  answers_->Serve(probe_->listener());
  TellNews();
}

void Supervisor::TellNews() {
  for (const auto& line : answers_->denials().TakeNews()) Tell(line);
}

void Supervisor::Tell(const std::string& line) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const Millis unix_ms = static_cast<Millis>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
  if (log_) log_->AddLine(Stream::kError, std::string(kPrefix) + line, unix_ms);
}

// What was seen is kept over restarts, in the record and so in the file.
void Supervisor::EndCalls(int& exit_code) {
  if (!answers_) return;
  if (answers_->killed_workload() && exit_code == 128 + SIGKILL) exit_code = 128 + SIGSYS;
  TellNews();
  for (const auto& line : Denials()) Tell(line);
  answers_->Listen({});
  WriteTrace();
  write_trace_at_ = 0;
}

// Not only at the end: a service has none that anybody would wait for, and a supervisor may be killed.
void Supervisor::WriteTraceInTime(Millis now) {
  if (write_trace_at_ == 0 || now < write_trace_at_) return;
  WriteTrace();
  write_trace_at_ = now + kWriteEveryMs;
}

void Supervisor::WriteTrace() {
  const CallTrace& trace = answers_->trace();
  if (!launch_.security.seccomp_trace || trace.total() == written_calls_) return;
  if (auto written = sys::ReplaceFile(launch_.security.seccomp_log, trace.Text(), 0644); !written) {
    trace_error_ = written.error();
    return Tell("the trace is not written: " + written.error().Message());
  }
  trace_error_.reset();
  written_calls_ = trace.total();
}

}  // namespace nucleus::process
