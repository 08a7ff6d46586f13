#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <vector>

#include "actuators/sys/file.hpp"
#include "cli/checkpoint_files.hpp"
#include "cli/detached.hpp"
#include "cli/session.hpp"
#include "spec/core/text.hpp"

namespace nucleus::cli {

namespace {

// Under another name it is another container: what was chosen for it is the first one's.
Result<std::string> Rename(const Arguments& arguments, spec::Topology& topology) {
  std::string name = topology.services.begin()->first;
  if (!arguments.Has("name") || arguments.Value("name") == name) return topology.name = name;
  const std::string other = arguments.Value("name");
  if (!IsValidProjectName(other))
    return Fail(ErrorCode::kInvalid, "", "--name", "'" + Printable(other) + "' is not a name of a container");
  auto node = topology.services.extract(topology.services.begin());
  node.key() = other;
  node.mapped().name = other;
  node.mapped().address.reset();
  topology.services.insert(std::move(node));
  for (auto& [key, network] : topology.networks) network.subnet.reset();
  return topology.name = other;
}

// What restores that were killed have left: each is called as the process was that made it.
void RemoveOrphans(const std::string& all) {
  std::error_code failed;
  std::vector<std::string> orphans;
  for (const auto& entry : std::filesystem::directory_iterator(all, failed)) {
    const std::string text = entry.path().extension().string();
    pid_t pid = 0;
    if (text.size() > 1) std::from_chars(text.data() + 1, text.data() + text.size(), pid);
    if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH) orphans.push_back(entry.path().string());
  }
  for (const auto& orphan : orphans) (void)sys::RemoveTree(orphan);
}

// A directory of ours that goes with this object.
class PrivateCopy {
 public:
  static Result<PrivateCopy> Make(const Directories& directories, const std::string& name) {
    const std::string all = directories.state + "/restore";
    TRY(sys::MakeDirectories(directories.state, 0755));
    if (::mkdir(all.c_str(), 0700) != 0 && errno != EEXIST) return FailSys("mkdir", all);
    RemoveOrphans(all);
    PrivateCopy copy(all + "/" + name + "." + std::to_string(::getpid()));
    TRY(sys::RemoveTree(copy.path_));
    if (::mkdir(copy.path_.c_str(), 0700) != 0) return FailSys("mkdir", copy.path_);
    return copy;
  }
  PrivateCopy(PrivateCopy&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  PrivateCopy& operator=(PrivateCopy&&) = delete;
  ~PrivateCopy() {
    if (!path_.empty()) (void)sys::RemoveTree(path_);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit PrivateCopy(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace

Result<int> RunRestore(Context& context) {
  const Arguments& arguments = context.arguments;
  if (!arguments.Has("input")) return UsageFault(context, "--input is required", "what `checkpoint` has written");
  if (::geteuid() != 0)
    return Fail(Error::Of(ErrorCode::kPermission, "", "restore", "CRIU needs root").Hint("run it as root"));
  const Directories directories = TRY(DirectoriesOf(arguments));
  const std::string path = arguments.Value("input");
  const sys::Fd directory = TRY(OpenCheckpointDirectory(path));
  Checkpoint checkpoint = TRY(ReadCheckpoint(directories, directory, path));
  const std::string name = TRY(Rename(arguments, checkpoint.topology));
  const PrivateCopy images = TRY(PrivateCopy::Make(directories, name));
  TRY(CopyImages(checkpoint, directory, path, images.path()));
  checkpoint.order.images = images.path();
  const std::string own = directories.ServiceDir(name, {Kind::kService, name});
  const auto order = [&]() -> Result<> {
    TRY(sys::MakeDirectories(own, 0755));
    return sys::ReplaceFile(own + "/" + std::string(kRestoreFile), Encode(checkpoint.order), 0600);
  };
  TRY(StartDetached(context, directories, name, std::move(checkpoint.topology), {.before = order}));
  return exit_code::kDone;
}

}  // namespace nucleus::cli
