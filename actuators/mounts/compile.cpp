#include "actuators/mounts/compile.hpp"

#include <fcntl.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "actuators/mounts/base.hpp"
#include "actuators/mounts/in_context.hpp"
#include "actuators/mounts/standard.hpp"
#include "actuators/mounts/tree.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/openat2.hpp"
#include "spec/core/paths.hpp"
#include "spec/core/text.hpp"

namespace nucleus::mounts {

namespace {

using Type = MountOp::Type;

// A mount that is to be placed: its target is still as it was written.
struct Wish {
  MountOp op;
  bool file = false;
  bool standard = false;      // ours: gives way to what the service declares at the same place
  std::string_view key = {};  // of the service, that asks for it
  [[nodiscard]] std::string Asker() const {
    return key.empty() || key == "context" ? std::string(key) : std::string(key) + " " + op.target;
  }
};

MountOp Bind(std::string source, std::string target, std::uint64_t flags, bool recursive) {
  MountOp op;
  op.type = Type::kBind;
  op.source = std::move(source);
  op.target = std::move(target);
  op.flags = flags;
  op.recursive = recursive;
  op.no_follow = true;
  return op;
}

bool MayCome(const MountsInput& input, const std::string& path) {
  return input.may_come && input.may_come(path);
}

Result<Source> LookOnce(const MountsInput& input, const std::string& path, bool read_only, bool own) {
  if (input.verdicts == nullptr) return CheckSource(path, read_only, own, input.directories, input.denied);
  const auto [known, is_new] = input.verdicts->try_emplace({path, read_only, own}, Source{});
  if (is_new) known->second = CheckSource(path, read_only, own, input.directories, input.denied);
  return known->second;
}

// What is not there yet is taken for a directory.
Result<Source> Look(const MountsInput& input, const std::string& path, bool read_only, bool own) {
  auto found = LookOnce(input, path, read_only, own);
  if (!found && MayCome(input, path)) return Source{.is_directory = true};
  return found;
}

Result<std::vector<Wish>> VolumeWishes(const MountsInput& input) {
  std::vector<Wish> wishes;
  for (const spec::VolumeMount& mount : input.service->volumes) {
    const auto named = input.volume_paths.find(mount.volume);
    if (!mount.volume.empty() && named == input.volume_paths.end()) {
      return Fail(ErrorCode::kInternal, "mount volume", mount.volume, "nobody says where it is");
    }
    const std::string asker = "volumes " + mount.destination;
    const auto staged = input.staged.find(mount.destination);
    const bool is_staged = staged != input.staged.end();
    const std::string source = is_staged ? staged->second : mount.volume.empty() ? mount.source : named->second;
    // What was staged is a copy; whether it may be given is decided by what it is a copy of.
    if (is_staged) {
      TRY_IN(asker, CheckSource(mount.source, mount.read_only, false, input.directories, input.denied));
    }
    // Below the runtime directory only what nucleus put there by itself.
    const bool own = is_staged || (!mount.volume.empty() && IsAtOrBelow(source, input.directories.runtime));
    const Source found = TRY_IN(asker, Look(input, source, mount.read_only, own));
    const std::uint64_t flags =
        kMountNoSuid | kMountNoDev | (mount.read_only ? kMountReadOnly : 0) | (mount.no_exec ? kMountNoExec : 0);
    const std::string target = TRY_IN(asker, NormalPath(mount.destination));
    const std::string from = TRY_IN(asker, NormalPath(source));
    Wish wish{Bind(from, target, flags, found.is_directory), !found.is_directory, false, "volumes"};
    wish.op.id_mapped = input.id_mapped;
    wishes.push_back(std::move(wish));
  }
  return wishes;
}

constexpr std::uint64_t kBindInert = kMountReadOnly | kMountNoSuid | kMountNoDev | kMountNoExec;

Result<std::optional<Wish>> ContextWish(const MountsInput& input) {
  const spec::Service& service = *input.service;
  if (service.context.empty()) return std::nullopt;
  const Source found = TRY_IN("context", Look(input, service.context, true, false));
  if (!found.is_directory) {
    return Fail(Error::Of(ErrorCode::kInvalid, "mount", service.context, "not a directory").In("context"));
  }
  Wish wish{Bind(TRY_IN("context", NormalPath(service.context)), std::string(kContextTarget),
                 kMountReadOnly | kMountNoSuid | kMountNoDev, false)};
  wish.key = "context";
  wish.op.id_mapped = input.id_mapped;
  if (service.context_mode == spec::ContextMode::kBind) return wish;
  wish.op.type = Type::kContext;
  wish.op.uid = input.workload.uid;
  wish.op.gid = input.workload.gid;
  wish.op.verify = service.verify_context_integrity;
  for (const auto& pattern : service.context_include) wish.op.data += "+" + pattern + "\n";
  for (const auto& pattern : service.context_exclude) wish.op.data += "-" + pattern + "\n";
  // The kernel makes a tmpfs as large as half of the machine's memory.
  if (service.memory) wish.op.data += "=" + std::to_string(*service.memory) + "\n";
  return wish;
}

// The tmpfs of the secrets, its files, and the mounts of those that are to be elsewhere.
struct SecretWishes {
  std::vector<Wish> wishes;
  std::vector<MountOp> files;
};
Result<SecretWishes> SecretsOf(const MountsInput& input) {
  SecretWishes out;
  struct Asked {
    spec::SecretMount secret;
    std::string_view key;
  };
  std::vector<Asked> secrets;
  for (const auto& secret : input.service->secrets) secrets.push_back({secret, "secrets"});
  for (const auto& credential : input.service->systemd_credentials) {
    const auto path = input.credentials.find(credential.source);
    if (path == input.credentials.end())
      return Fail(ErrorCode::kInternal, "give credential", credential.source, "nobody says where it is");
    secrets.push_back({{path->second, credential.destination}, "systemd_credentials"});
  }
  if (secrets.empty()) return out;
  const std::string directory = "/run/secrets";
  MountOp tmpfs;
  tmpfs.type = Type::kSecrets;
  tmpfs.target = directory;
  tmpfs.flags = kBindInert;
  out.wishes.push_back({std::move(tmpfs), false, false, secrets.front().key});
  for (const auto& [secret, key] : secrets) {
    const std::string asker = std::string(key) + " " + secret.destination;
    MountOp file;
    file.type = Type::kSecretFile;
    file.source = TRY_IN(asker, NormalPath(secret.source));
    file.target = TRY_IN(asker, NormalPath(secret.destination));
    file.mode = 0400;
    file.uid = input.workload.uid;
    file.gid = input.workload.gid;
    if (!IsAtOrBelow(file.target, directory)) {
      MountOp place;
      place.type = Type::kSecret;
      place.target = file.target;
      place.flags = kBindInert;
      file.target = directory + "/.elsewhere/" + std::to_string(out.files.size());
      place.source = file.target;
      out.wishes.push_back({std::move(place), true, false, key});
    }
    out.files.push_back(std::move(file));
  }
  return out;
}

StandardInput StandardOf(const MountsInput& input) {
  return {.production = input.service->mode == spec::ServiceMode::kProduction,
          .memory = input.service->memory.value_or(0),
          .uid = input.workload.uid,
          .gid = input.workload.gid,
          .has_terminal_group = input.has_terminal_group,
          .machines_sysfs = input.machines_sysfs,
          .machines_cgroups = input.machines_cgroups};
}

Result<std::vector<Wish>> Wishes(const MountsInput& input) {
  const spec::Service& service = *input.service;
  const Person& who = input.workload;
  std::vector<Wish> wishes = TRY(VolumeWishes(input));
  for (const spec::TmpfsMount& mount : service.tmpfs) {
    const std::string target = TRY_IN("tmpfs " + mount.destination, NormalPath(mount.destination));
    wishes.push_back(
        {TmpfsOp(target, mount.size, 01777, who.uid, who.gid, kMountNoSuid | kMountNoDev), false, false, "tmpfs"});
  }
  if (auto context = TRY(ContextWish(input))) wishes.push_back(std::move(*context));
  std::set<std::string> declared;
  for (const Wish& wish : wishes) declared.insert(wish.op.target);

  std::vector<Wish> standard;
  for (MountOp& op : StandardMounts(StandardOf(input))) {
    const bool file = op.type == Type::kBind && !op.recursive;
    standard.push_back({std::move(op), file, true});
  }
  for (const auto name : kNameFiles) {
    const std::string source = input.service_dir + "/" + std::string(name);
    standard.push_back({Bind(source, "/etc/" + std::string(name), kBindInert, false), true, true});
  }
  if (service.sd_notify) {
    const std::string source = input.service_dir + "/" + std::string(kNotifySocket);
    wishes.push_back({Bind(source, std::string(kNotifyInside), kBindInert, false), true, false, "sd_notify"});
  }
  if (service.rootfs.empty() && HasOwnHome(who)) {
    const Bytes size = service.memory.value_or(Bytes{1} << 30);
    standard.push_back({TmpfsOp(who.home, size, 0700, who.uid, who.gid, kMountNoSuid | kMountNoDev), false, true});
  }
  for (Wish& wish : standard) {
    if (!declared.contains(wish.op.target)) wishes.push_back(std::move(wish));
  }
  std::ranges::stable_sort(wishes, {}, [](const Wish& wish) { return Depth(wish.op.target); });
  return wishes;
}

// Places mounts one after the other and finds out what each needs to stand on.
class Arranger {
 public:
  Arranger(const MountsInput& input, const Base& base, bool skeleton)
      : input_(input), base_(base), skeleton_(skeleton) {}

  // What the root has from the start: binds of the host's directories, and links.
  void AddPlaced(const MountOp& op) {
    if (IsMount(op)) placed_.emplace(op.target, Placed{op.type, op.source, op.fstype});
    if (op.type == Type::kSymlink) links_.emplace(op.target, op.data);
  }

  Result<> PlaceAll(std::vector<Wish>& wishes) {
    for (Wish& wish : wishes) TRY_IN(wish.Asker(), Place(wish));
    return {};
  }

  std::vector<MountOp> TakeSkeleton() { return std::move(skeleton_ops_); }
  std::vector<MountOp> TakeOps() { return std::move(ops_); }

 private:
  // What is refused is left as it was asked for.
  Result<> Place(Wish& wish) {
    const std::string asked = wish.op.target;
    const std::string target = TRY(Resolve(asked));
    if (target == "/") return Refuse(asked, "it is the root");
    if (!wish.standard) TRY(CheckDeclared(asked, target));
    if (wish.standard && wish.op.target != target && IsKernels(target)) {
      return Refuse(asked, "the image's links lead it to " + target);
    }
    if (placed_.contains(target)) {
      // By way of an image's links a declared mount may come to stand where one of ours is: then its place is taken.
      if (wish.standard && !declared_.contains(target)) return Refuse(asked, "two standard mounts at " + target);
      if (wish.standard) return {};
      return Refuse(asked, target + " is mounted already");
    }
    if (!wish.standard) TRY(CheckFree(asked, target));
    if (!wish.standard) declared_.insert(target);
    auto prepared = Prepare(target, wish.file);
    // A declared volume at /var or /etc brings its own /var/tmp or /etc/hosts, or none.
    if (!prepared && wish.standard && prepared.error().code == ErrorCode::kNotFound) return {};
    TRY(std::move(prepared));
    wish.op.target = target;
    AddPlaced(wish.op);
    ops_.push_back(std::move(wish.op));
    return {};
  }

  static std::unexpected<Error> Refuse(std::string_view target, std::string_view why) {
    return Fail(Error::Of(ErrorCode::kInvalid, "mount at", target, why));
  }

  static bool IsKernels(std::string_view target) {
    return IsAtOrBelow(target, "/proc") || IsAtOrBelow(target, "/sys") || IsAtOrBelow(target, "/dev");
  }

  static Result<> CheckDeclared(std::string_view asked, std::string_view target) {
    if (!IsKernels(target) || IsAtOrBelow(target, "/dev/shm")) return {};
    const std::string via = asked == target ? "" : ", where the image's links lead";
    return Refuse(asked, "nothing may be mounted below " + std::string(target.substr(0, target.find('/', 1))) + via);
  }

  [[nodiscard]] Result<> CheckFree(std::string_view asked, const std::string& target) const {
    const auto below = placed_.lower_bound(target + "/");
    if (below != placed_.end() && IsAtOrBelow(below->first, target))
      return Refuse(asked, "it would hide the mount at " + below->first);
    const auto link = links_.find(target);
    if (link != links_.end()) return Refuse(asked, "a link stands there, to " + link->second);
    return {};
  }

  struct Placed {
    Type type;
    std::string source, fstype;
  };
  using PlacedMap = std::map<std::string, Placed, std::less<>>;  // by target

  // The mount that a path is in, and not at; end: the root.
  PlacedMap::const_iterator Covering(std::string_view path) const {
    for (auto slash = path.rfind('/'); slash != 0 && slash != path.npos; slash = path.rfind('/')) {
      path = path.substr(0, slash);
      if (const auto found = placed_.find(path); found != placed_.end()) return found;
    }
    return placed_.end();
  }

  // The parent's links are followed as far as the base has them; the last component never is: a mount covers it.
  Result<std::string> Resolve(const std::string& path) const {
    std::string at = "/";
    const std::string parent = Parent(path);
    std::string_view rest = parent;
    while (rest.size() > 1) {
      rest.remove_prefix(1);
      const std::string_view name = rest.substr(0, rest.find('/'));
      rest.remove_prefix(name.size());
      const std::string next = (at == "/" ? "/" : at + "/") + std::string(name);
      const bool covered = placed_.contains(next) || Covering(next) != placed_.end();
      at = covered ? next : base_.Directory(next).value_or(next);
    }
    return (at == "/" ? "/" : at + "/") + std::string(Name(path));
  }

  // Sees to it that there is a mount point.
  Result<> Prepare(const std::string& target, bool file) {
    const auto found = Covering(target);
    if (found == placed_.end()) return PrepareInRoot(target, file);
    const auto& [top, cover] = *found;
    if (cover.fstype == "tmpfs") {
      for (const std::string& missing : Missing(Parent(target), top)) AddDirectory(ops_, missing, {});
      AddPoint(ops_, target, file, {});
      return {};
    }
    if (cover.type == Type::kContext) return CheckPointInCopy(*input_.service, target, file);
    if (top == kContextTarget && !input_.service->context.empty()) TRY(CheckPointInBound(*input_.service, target));
    if (cover.type != Type::kBind) return {};  // sysfs has its mount point for cgroups
    const std::string inside = cover.source + target.substr(top.size());
    const sys::Fd fd(sys::OpenAt2(AT_FDCWD, inside.c_str(), O_PATH, RESOLVE_NO_SYMLINKS));
    if (fd || MayCome(input_, inside)) return {};
    return Fail(Error::Of(ErrorCode::kNotFound, "mount at", target, inside + " does not exist, or is a link")
                    .Hint("a mount inside another needs its mount point there: make it first"));
  }

  // Directories above a path, below `top`, that no operation has made yet.
  static std::vector<std::string> Missing(std::string path, std::string_view top) {
    std::vector<std::string> missing;
    for (; path != top && path != "/"; path = Parent(path)) missing.insert(missing.begin(), path);
    return missing;
  }

  Result<> PrepareInRoot(const std::string& target, bool file) {
    if (!skeleton_) {
      AddPoint(ops_, target, file, {});
      return {};
    }
    const Entry there = base_.Look(target);
    if (there.kind == (file ? Entry::Kind::kFile : Entry::Kind::kDirectory)) return {};
    // A directory of the skeleton is merged with the rootfs' own and shows its own owner and mode: so it gets theirs.
    for (const std::string& parent : Missing(Parent(target), "/")) {
      const Entry entry = base_.Look(parent);
      AddDirectory(skeleton_ops_, parent, entry.kind == Entry::Kind::kDirectory ? entry : Entry{});
    }
    AddPoint(skeleton_ops_, target, file, {});
    return {};
  }

  void AddDirectory(std::vector<MountOp>& ops, const std::string& path, const Entry& like) {
    if (!made_.insert(path).second) return;
    MountOp op;
    op.type = Type::kDirectory;
    op.target = path;
    op.mode = like.mode;
    op.uid = like.uid;
    op.gid = like.gid;
    op.skeleton = &ops == &skeleton_ops_;
    ops.push_back(std::move(op));
  }

  void AddPoint(std::vector<MountOp>& ops, const std::string& path, bool file, const Entry& like) {
    if (!file) return AddDirectory(ops, path, like);
    if (!made_.insert(path).second) return;
    MountOp op;
    op.type = Type::kFile;
    op.target = path;
    op.mode = 0644;
    op.skeleton = &ops == &skeleton_ops_;
    ops.push_back(std::move(op));
  }

  const MountsInput& input_;
  const Base& base_;
  const bool skeleton_;
  PlacedMap placed_;
  std::map<std::string, std::string> links_;  // of the root, where they lead
  std::vector<MountOp> ops_, skeleton_ops_;
  std::set<std::string> made_, declared_;
};

void Append(std::vector<MountOp>& to, std::vector<MountOp> ops) {
  to.insert(to.end(), std::make_move_iterator(ops.begin()), std::make_move_iterator(ops.end()));
}

// What every machine has.
HostShape AnyShape() {
  return {.links = {}, .directories = {"/usr", "/bin", "/sbin", "/lib"}, .files = {}};
}

Result<HostShape> ShapeOf(const MountsInput& input) {
  return input.any_root ? AnyShape() : ReadHostShape();
}

Result<std::vector<MountOp>> OnHost(const MountsInput& input, std::vector<Wish> wishes, std::vector<MountOp> finish) {
  const bool known = input.host != nullptr && !input.any_root;
  const HostShape read = known ? HostShape{} : TRY(ShapeOf(input));
  const HostShape& shape = known ? *input.host : read;
  std::vector<MountOp> ops = HostRootOps(shape, input.workload);
  std::map<std::string, std::string> links = shape.links;
  links["/var/run"] = "/run";
  const EmptyRoot base(links);
  Arranger arranger(input, base, false);
  for (const MountOp& op : ops) arranger.AddPlaced(op);
  TRY(arranger.PlaceAll(wishes));
  Append(ops, arranger.TakeOps());
  Append(ops, std::move(finish));
  MountOp seal;
  seal.type = Type::kSealRoot;
  ops.push_back(seal);
  return ops;
}

Result<std::unique_ptr<Base>> OpenRootfs(const MountsInput& input, const std::string& rootfs) {
  const auto checked = CheckRoot(rootfs, input.directories);
  const bool refused = !checked && checked.error().code == ErrorCode::kPermission && checked.error().sys_errno == 0;
  if (input.any_root && !refused) return std::make_unique<EmptyRoot>(std::map<std::string, std::string>{});
  TRY(checked);
  return TRY(Rootfs::Open(rootfs));
}

Result<std::vector<MountOp>> OnRootfs(const MountsInput& input, std::vector<Wish> wishes, std::vector<MountOp> finish) {
  const std::string rootfs = TRY_IN("rootfs", NormalPath(input.service->rootfs));
  const auto base = TRY_IN("rootfs", OpenRootfs(input, rootfs));
  Arranger arranger(input, *base, true);
  TRY(arranger.PlaceAll(wishes));
  std::vector<MountOp> skeleton = arranger.TakeSkeleton();
  MountOp root;
  root.type = skeleton.empty() ? Type::kRootBind : Type::kRootOverlay;
  root.source = rootfs;
  root.no_follow = true;  // looked up again at every start
  root.flags = kMountReadOnly | kMountNoSuid | kMountNoDev;
  root.recursive = skeleton.empty();
  root.verify = input.service->verify_rootfs_attestation;
  const auto manifest = input.service->inputs.find("rootfs");
  if (root.verify && manifest != input.service->inputs.end()) root.data = manifest->second.Hex();
  root.id_mapped = input.id_mapped;
  std::vector<MountOp> ops{root};
  Append(ops, std::move(skeleton));
  Append(ops, arranger.TakeOps());
  Append(ops, std::move(finish));
  return ops;
}

}  // namespace

Result<std::vector<MountOp>> CompileMounts(const MountsInput& input) {
  if (input.service == nullptr) return Fail(ErrorCode::kInternal, "compile mounts", "", "no service");
  const std::string where = "service." + input.service->name + "/mounts";
  std::vector<Wish> wishes = TRY_IN(where, Wishes(input));
  SecretWishes secrets = TRY_IN(where, SecretsOf(input));
  // Whatever else is mounted there: a secret is put on top of it.
  wishes.insert(wishes.end(), std::make_move_iterator(secrets.wishes.begin()),
                std::make_move_iterator(secrets.wishes.end()));
  std::vector<std::string> in_context;
  for (const Wish& wish : wishes) {
    if (wish.op.target.starts_with(std::string(kContextTarget) + "/")) in_context.push_back(wish.op.target);
  }
  std::vector<MountOp> finish = std::move(secrets.files);
  Append(finish, TRY_IN(where, ContextMasks(input, in_context)));
  Append(finish, StandardFinish(StandardOf(input)));
  auto ops = input.service->rootfs.empty() ? OnHost(input, std::move(wishes), std::move(finish))
                                           : OnRootfs(input, std::move(wishes), std::move(finish));
  if (!ops) return Fail(std::move(ops).error().In(where));
  TRY_IN(where, ValidateTree(*ops));
  return ops;
}

}  // namespace nucleus::mounts
