#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "actuators/process/root_helper.hpp"
#include "actuators/process/transfer.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/openat2.hpp"
#include "cli/commands/run_from_clone.hpp"
#include "cli/containers.hpp"
#include "cli/session.hpp"

namespace nucleus::cli {

namespace {

// "shop/web:/etc/hosts". What begins like a path is one.
struct Place {
  std::string container;  // "": here
  std::string path;
};

Place ParsePlace(const std::string& word) {
  const auto colon = word.find(':');
  if (colon == std::string::npos || colon == 0 || word.starts_with('/') || word.starts_with('.')) return {"", word};
  return {word.substr(0, colon), word.substr(colon + 1)};
}

// "/etc/hosts/" -> "/etc", "hosts"
struct Split {
  std::string directory, name;
};
Result<Split> SplitPath(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const auto slash = path.rfind('/');
  Split split{".", path};
  if (slash != std::string::npos) split = {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
  if (split.name.empty() || split.name == "." || split.name == "..")
    return Fail(Error::Invalid("'" + path + "'", "has no name at its end"));
  return split;
}

// One of the two sides: where paths are looked up.
class Side {
 public:
  Side() = default;                                          // here
  explicit Side(const sys::Fd& root) : root_(root.get()) {}  // inside that

  [[nodiscard]] Result<sys::Fd> OpenDirectory(const std::string& path) const {
    sys::Fd fd(root_ < 0 ? ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)
                         : sys::OpenAt2(root_, path.c_str(), O_PATH | O_DIRECTORY, sys::kInRoot));
    if (!fd) return FailSys("open", path);
    return fd;
  }

 private:
  int root_ = -1;
};

// How much was left out.
Result<std::uint64_t> Read(const Side& side, const std::string& path, int socket) {
  const Split from = TRY(SplitPath(path));
  const sys::Fd directory = TRY(side.OpenDirectory(from.directory));
  const auto report = TRY(process::Send(directory.get(), from.name, socket));
  if (report.files + report.directories + report.links == 0)
    return Fail(ErrorCode::kInvalid, "copy", path, "is neither a file nor a directory nor a link");
  return report.special;
}

// Into a directory that is there, else as the name at the end.
Result<std::uint64_t> Write(const Side& side, const std::string& path, const std::string& name, uid_t uid, gid_t gid,
                            int socket) {
  auto into = side.OpenDirectory(path.empty() ? "." : path);
  if (into) return process::Receive(into->get(), name, uid, gid, socket);
  if (into.error().sys_errno != ENOENT && into.error().sys_errno != ENOTDIR) return Fail(std::move(into).error());
  const Split to = TRY(SplitPath(path));
  const sys::Fd directory = TRY(side.OpenDirectory(to.directory));
  return process::Receive(directory.get(), to.name, uid, gid, socket);
}

// The error that says more: what one side did not get done because of the other's is no news.
Result<> Both(const Result<std::uint64_t>& here, Result<> there) {
  if (here || (!there && here.error().code == ErrorCode::kConflict)) return there;
  return Fail(here.error());
}

}  // namespace

Result<int> RunCp(Context& context) {
  const Place from = ParsePlace(context.arguments.Operand(0)), to = ParsePlace(context.arguments.Operand(1));
  if (from.container.empty() == to.container.empty())
    return UsageFault(context, "one of FROM and TO is in a container", "NAME:PATH, such as shop/web:/etc/hosts");
  const bool out = !from.container.empty();
  const std::string name = TRY(SplitPath(from.path)).name;
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  const Container named = TRY(FindContainer(directories, out ? from.container : to.container));
  const auto container = TRY(process::OpenRunning(named.directory, named.Name()));
  if (process::IsPaused(container.launch.cgroup))
    return Fail(Error::Of(ErrorCode::kConflict, "", named.Name(), "is paused").Hint("`nucleus unpause` lets it go on"));
  TRY(BecomeOwnerOf(named, directories));
  ::signal(SIGPIPE, SIG_IGN);
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return FailSys("socketpair", "cp");
  sys::Fd here(ends[0]), there(ends[1]);
  auto started = process::RootHelper::Start(container, named.Name(), [&](const sys::Fd& root) -> Result<> {
    here.reset();
    const Side inside(root);
    const Identity& owner = container.launch.identity;
    auto done =
        out ? Read(inside, from.path, there.get()) : Write(inside, to.path, name, owner.uid, owner.gid, there.get());
    if (!done) return Fail(std::move(done).error());
    return {};
  });
  auto helper = TRY(std::move(started));
  there.reset();
  const auto left_out =
      out ? Write(Side(), to.path, name, ::geteuid(), ::getegid(), here.get()) : Read(Side(), from.path, here.get());
  here.reset();
  TRY_IN(named.Name(), Both(left_out, helper.Finish()));
  if (*left_out != 0)
    context.console.Warn(std::to_string(*left_out) + " left out: neither files nor directories nor links");
  return exit_code::kDone;
}

}  // namespace nucleus::cli
