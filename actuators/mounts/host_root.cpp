#include "actuators/mounts/host_root.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <memory>
#include <set>

#include "actuators/mounts/tree.hpp"
#include "spec/core/paths.hpp"

namespace nucleus::mounts {

namespace {

using Type = MountOp::Type;

// Of /nix only the store: below /nix/var is the daemon's socket, and who asks it as root is root.
constexpr std::string_view kPrograms[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"};

// Not /etc/ssl as a whole: the host's private keys are below it, and root in the container could read them.
constexpr std::string_view kSettings[] = {
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/dpkg",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/services",
    "/etc/shells",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/timezone",
};

struct FreeText {
  void operator()(char* text) const { std::free(text); }
};

void Look(const std::string& path, HostShape& shape) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0) return;
  if (S_ISLNK(st.st_mode)) {
    const std::unique_ptr<char, FreeText> real(::realpath(path.c_str(), nullptr));
    const std::string to = real ? real.get() : "";
    // A link into what is there anyway stays a link; others are bound by what they lead to.
    if (IsAtOrBelow(to, "/usr") || IsAtOrBelow(to, "/nix/store")) shape.links[path] = to;
    return;
  }
  if (S_ISDIR(st.st_mode)) shape.directories.push_back(path);
  if (S_ISREG(st.st_mode)) shape.files.push_back(path);
}

MountOp Make(Type type, std::string target, std::string data, std::uint32_t mode) {
  MountOp op;
  op.type = type;
  op.target = std::move(target);
  op.data = std::move(data);
  op.mode = mode;
  return op;
}

MountOp BindHost(const std::string& path) {
  MountOp op;
  op.type = Type::kBind;
  op.target = path;
  op.source = path;
  op.flags = kMountReadOnly | kMountNoSuid | kMountNoDev;
  op.recursive = true;
  op.no_follow = true;
  return op;
}

}  // namespace

Result<HostShape> ReadHostShape() {
  HostShape shape;
  for (const std::string_view path : kPrograms) Look(std::string(path), shape);
  for (const std::string_view path : kSettings) Look(std::string(path), shape);
  // A Java runtime of Debian, /usr/lib/jvm/java-17-openjdk-amd64, keeps its settings in /etc/java-17-openjdk and does
  // not start without them; others add no architecture.
  const std::unique_ptr<DIR, decltype([](DIR* dir) { ::closedir(dir); })> runtimes(::opendir("/usr/lib/jvm"));
  std::set<std::string> java;
  while (const dirent* entry = runtimes ? ::readdir(runtimes.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with("java-")) continue;
    java.insert("/etc/" + std::string(name));
    const auto other = name.substr(0, name.rfind('-'));
    if (other.find_first_of("0123456789") != std::string_view::npos) java.insert("/etc/" + std::string(other));
  }
  for (const std::string& path : java) Look(path, shape);
  return shape;
}

bool HasOwnHome(const Person& person) {
  return NormalPath(person.home) == person.home && (person.home == "/root" || person.home.starts_with("/home/"));
}

std::string PasswdFile(const Person& person) {
  const std::string shell = person.shell.empty() ? "/bin/sh" : person.shell;
  std::string text;
  if (person.uid != 0) text += "root:x:0:0:root:/root:/bin/sh\n";
  if (person.uid != 65534) text += "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
  const std::string line = (person.name.empty() ? std::to_string(person.uid) : person.name) +
                           ":x:" + std::to_string(person.uid) + ":" + std::to_string(person.gid) + "::" + person.home +
                           ":" + shell + "\n";
  return person.uid == 0 ? line + text : text + line;
}

std::string GroupFile(const Person& person) {
  std::vector<std::pair<std::uint32_t, std::string>> groups{{0, "root"}, {5, "tty"}, {65534, "nogroup"}};
  const auto add = [&groups](std::uint32_t gid, const std::string& name) {
    const auto same = [&](const auto& group) { return group.first == gid || group.second == name; };
    if (std::ranges::none_of(groups, same)) groups.emplace_back(gid, name);
  };
  for (const auto& [gid, name] : person.groups) add(gid, name);
  add(person.gid, person.name.empty() ? std::to_string(person.gid) : person.name);
  std::string text;
  for (const auto& [gid, name] : groups) text += name + ":x:" + std::to_string(gid) + ":\n";
  return text;
}

std::vector<MountOp> HostRootOps(const HostShape& shape, const Person& person) {
  std::vector<MountOp> ops;
  ops.reserve(192);  // and what comes on top of them
  ops.push_back(Make(Type::kRootTmpfs, "", "mode=0755,size=4m", 0755));
  ops.back().flags = kMountNoSuid | kMountNoDev;
  for (const char* path : {"/etc", "/home", "/var", "/usr"}) ops.push_back(Make(Type::kDirectory, path, "", 0755));
  ops.push_back(Make(Type::kDirectory, "/root", "", 0700));
  for (const std::string& path : shape.directories) {
    ops.push_back(Make(Type::kDirectory, path, "", 0755));
    ops.push_back(BindHost(path));
  }
  for (const std::string& path : shape.files) {
    ops.push_back(Make(Type::kFile, path, "", 0644));
    ops.push_back(BindHost(path));
  }
  for (const auto& [path, to] : shape.links) ops.push_back(Make(Type::kSymlink, path, to, 0777));
  ops.push_back(Make(Type::kSymlink, "/etc/mtab", "/proc/self/mounts", 0777));
  ops.push_back(Make(Type::kSymlink, "/var/run", "/run", 0777));
  ops.push_back(Make(Type::kFile, "/etc/passwd", PasswdFile(person), 0644));
  ops.push_back(Make(Type::kFile, "/etc/group", GroupFile(person), 0644));
  ops.push_back(Make(Type::kFile, "/etc/nsswitch.conf",
                     "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n"
                     "protocols: files\nservices: files\nethers: files\nrpc: files\n",
                     0644));
  return ops;
}

}  // namespace nucleus::mounts
