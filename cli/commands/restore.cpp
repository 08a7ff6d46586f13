#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "actuators/sys/file.hpp"
#include "cli/checkpoint_files.hpp"
#include "cli/detached.hpp"
#include "cli/session.hpp"
#include "cli/signals.hpp"
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

// A lock that goes with us, and no later: flock(2).
Result<sys::Fd> LockDirectory(const std::string& path, int how) {
  sys::Fd directory = TRY(sys::Open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  while (::flock(directory.get(), how) != 0)
    if (errno != EINTR) return FailSys("lock", path);
  return directory;
}

// What restores that were killed have left: nobody has it locked. all: locked by us, so none is just being made.
void RemoveOrphans(const std::string& all) {
  std::error_code failed;
  std::vector<std::string> orphans;
  for (const auto& entry : std::filesystem::directory_iterator(all, failed)) orphans.push_back(entry.path().string());
  for (const auto& orphan : orphans)
    if (const auto lock = LockDirectory(orphan, LOCK_EX | LOCK_NB)) (void)sys::RemoveTree(orphan);
}

// The images as they were verified, and the order to restore from them. Both go with this object.
class PrivateCopy {
 public:
  // directory: of the container.
  static Result<PrivateCopy> Make(const Directories& directories, const std::string& name,
                                  const std::string& directory) {
    const std::string all = directories.state + "/restore";
    TRY(sys::MakeDirectories(directories.state, 0755));
    if (::mkdir(all.c_str(), 0700) != 0 && errno != EEXIST) return FailSys("mkdir", all);
    const sys::Fd lock = TRY(LockDirectory(all, LOCK_EX));
    RemoveOrphans(all);
    std::string path = all + "/" + name + "." + std::to_string(::getpid());
    if (::mkdir(path.c_str(), 0700) != 0) return FailSys("mkdir", path);
    PrivateCopy copy(std::move(path), directory + "/" + std::string(kRestoreFile));
    copy.lock_ = TRY(LockDirectory(copy.path_, LOCK_EX | LOCK_NB));
    return copy;
  }
  PrivateCopy(PrivateCopy&& other) noexcept
      : path_(std::exchange(other.path_, "")), order_(std::move(other.order_)), lock_(std::move(other.lock_)) {}
  PrivateCopy& operator=(PrivateCopy&&) = delete;
  ~PrivateCopy() {
    if (path_.empty()) return;
    if (ordered_) ::unlink(order_.c_str());
    (void)sys::RemoveTree(path_);
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  // For the supervisor, which takes it at its first start.
  Result<> Order(const RestoreOrder& order) {
    ordered_ = true;
    return sys::ReplaceFile(order_, Encode(order), 0600);
  }

 private:
  PrivateCopy(std::string path, std::string order) : path_(std::move(path)), order_(std::move(order)) {}
  std::string path_, order_;
  sys::Fd lock_;
  bool ordered_ = false;
};

}  // namespace

Result<int> RunRestore(Context& context) {
  const Arguments& arguments = context.arguments;
  if (!arguments.Has("input")) return UsageFault(context, "--input is required", "what `checkpoint` has written");
  if (::geteuid() != 0)
    return Fail(Error::Of(ErrorCode::kPermission, "", "restore", "CRIU needs root").Hint("run it as root"));
  CatchSignals();
  const Directories directories = TRY(DirectoriesOf(arguments));
  const std::string path = arguments.Value("input");
  const sys::Fd directory = TRY(OpenCheckpointDirectory(path));
  Checkpoint checkpoint = TRY(ReadCheckpoint(directories, directory, path));
  const std::string name = TRY(Rename(arguments, checkpoint.topology));
  const std::string own = directories.ServiceDir(name, {Kind::kService, name});
  PrivateCopy images = TRY(PrivateCopy::Make(directories, name, own));
  TRY(CopyImages(checkpoint, directory, path, images.path()));
  checkpoint.order.images = images.path();
  const auto order = [&]() -> Result<> {
    TRY(sys::MakeDirectories(own, 0755));
    return images.Order(checkpoint.order);
  };
  TRY(StartDetached(context, directories, name, std::move(checkpoint.topology), {.before = order}));
  return exit_code::kDone;
}

}  // namespace nucleus::cli
